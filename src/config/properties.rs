//! `[kafka.properties]`: any librdkafka property, except those that would undo what the bridge promises.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaConfRes;
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::forbidden;
use super::problem::Problems;
use super::secret::Secret;

/// Properties by name. `Debug` masks every value; the serialised form shows those that can't hold a credential.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(transparent)]
pub struct Properties(BTreeMap<String, Secret>);

impl Properties {
    /// Names and values in plain text: for Kafka clients, never for logs.
    pub fn expose(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.expose()))
    }

    /// The value of a property, in plain text.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(Secret::expose)
    }

    /// How long the poll loop may pause before the group expels a consumer; `None` when the value is no number.
    pub(super) fn max_poll_interval(&self) -> Option<Duration> {
        self.millis("max.poll.interval.ms", 300_000)
    }

    fn millis(&self, name: &str, default: u64) -> Option<Duration> {
        self.get(name)
            .map_or(Ok(default), str::parse)
            .ok()
            .map(Duration::from_millis)
    }

    pub(super) fn check(&self, problems: &mut Problems) {
        let consumer_protocol = self
            .get("group.protocol")
            .is_some_and(|value| value == "consumer");
        for (name, value) in &self.0 {
            let by_protocol = || forbidden::reason_in_consumer_protocol(name).filter(|_| consumer_protocol);
            let fault = forbidden::reason(name)
                .or_else(by_protocol)
                .or_else(|| librdkafka_fault(name, value));
            if let Some(fault) = fault {
                problems.add(&format!("kafka.properties.{name}"), fault);
            }
        }
        // librdkafka would refuse to start with this one.
        let session = self.millis("session.timeout.ms", 45_000);
        if let (false, Some(poll), Some(session)) = (consumer_protocol, self.max_poll_interval(), session)
            && poll < session
        {
            let message = "is below session.timeout.ms (45000 unless set); raise it, or lower that";
            problems.add("kafka.properties.max.poll.interval.ms", message);
        }
    }
}

/// What librdkafka has against a property.
fn librdkafka_fault(name: &str, value: &Secret) -> Option<String> {
    match ClientConfig::new()
        .set(name, value.expose())
        .create_native_config()
    {
        Ok(_) => None,
        Err(KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, ..)) => Some(
            "librdkafka has no property of that name; see its CONFIGURATION.md for those it has".to_owned(),
        ),
        // The description may quote the value.
        Err(KafkaError::ClientConfig(_, description, ..)) if is_shown(name, value) => Some(format!(
            "librdkafka refuses it: {}",
            description.replace('\n', " ")
        )),
        Err(_) => Some("librdkafka refuses the value; see its CONFIGURATION.md".to_owned()),
    }
}

/// Whether a value may be printed: nothing that came from a file, nor whatever could be or hold a credential.
fn is_shown(name: &str, value: &Secret) -> bool {
    const HARMLESS: [&str; 6] = [
        "sasl.mechanism",
        "sasl.mechanisms",
        "ssl.ca.location",
        "ssl.certificate.location",
        "ssl.key.location",
        "ssl.endpoint.identification.algorithm",
    ];
    const TELLING: [&str; 14] = [
        "password",
        "secret",
        "credential",
        "token",
        "assertion",
        "private",
        "key",
        "pem",
        "username",
        "config",
        "cmd",
        "url",
        "proxy",
        "header",
    ];
    value.file().is_none()
        && (HARMLESS.contains(&name)
            || !(name.starts_with("sasl.")
                || name.starts_with("ssl.")
                || TELLING.iter().any(|telling| name.contains(telling))))
}

impl Serialize for Properties {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            if is_shown(name, value) {
                map.serialize_entry(name, value.expose())?;
            } else {
                map.serialize_entry(name, value)?;
            }
        }
        map.end()
    }
}
