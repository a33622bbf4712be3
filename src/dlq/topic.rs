//! The dead-letter topic: there, or created at the start.

use std::time::Duration;

use rdkafka::admin::{
    AdminClient, AdminOptions, ConfigResource, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::Metadata;

use crate::config::{Config, Dlq};
use crate::exit::Failure;
use crate::source::client::shared;

const QUESTION_TIMEOUT: Duration = Duration::from_secs(10);
/// What a topic takes unless it says otherwise (`message.max.bytes` of a broker).
const DEFAULT_MAX_BYTES: usize = 1_048_588;

/// What is known of the topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DlqTopic {
    /// Its partition count.
    pub partitions: i32,
    /// The largest record that it takes.
    pub max_bytes: usize,
    /// How long it keeps them.
    pub retention: Retention,
}

/// How long a topic keeps its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retention {
    /// So long.
    Kept(Duration),
    /// For ever, or until it is too large.
    Unlimited,
    /// This user may not ask.
    Unknown,
}

impl Retention {
    /// As `retention.ms` has it: negative for ever.
    fn parse(milliseconds: &str) -> Self {
        match milliseconds.parse::<i64>().map(u64::try_from) {
            Ok(Ok(milliseconds)) => Self::Kept(Duration::from_millis(milliseconds)),
            Ok(Err(_)) => Self::Unlimited,
            Err(_) => Self::Unknown,
        }
    }

    /// How long a record is kept, if there is an end to it; what is `configured` where nobody knows better.
    pub fn kept_for(self, configured: Duration) -> Option<Duration> {
        match self {
            Self::Kept(retention) => Some(retention),
            Self::Unlimited => None,
            Self::Unknown => Some(configured),
        }
    }
}

/// How many partitions `topic` has; `None` when it isn't there.
pub fn partition_count(metadata: &Metadata, topic: &str) -> Option<i32> {
    let topic = metadata.topics().iter().find(|known| known.name() == topic)?;
    let there = topic.error().is_none() && !topic.partitions().is_empty();
    there.then(|| i32::try_from(topic.partitions().len()).unwrap_or(i32::MAX))
}

/// Finds the topic or creates it. Refused: what an administrator has to create.
pub async fn ensure(config: &Config, metadata: &Metadata) -> Result<DlqTopic, Failure> {
    let admin: AdminClient<DefaultClientContext> = shared(&config.kafka)
        .create()
        .map_err(|error| Failure::unavailable(format!("Kafka: {error}")))?;
    let partitions = match partition_count(metadata, &config.dlq.topic) {
        Some(partitions) => partitions,
        None => create(&admin, &config.dlq).await?,
    };
    let settings = describe(&admin, &config.dlq.topic, metadata).await;
    let setting = |name| settings.as_ref()?.get(name)?.value.as_deref();
    Ok(DlqTopic {
        partitions,
        max_bytes: setting("max.message.bytes")
            .and_then(|bytes| bytes.parse().ok())
            .unwrap_or(DEFAULT_MAX_BYTES),
        retention: setting("retention.ms").map_or(Retention::Unknown, Retention::parse),
    })
}

/// The topic as it is; `None` when it isn't there.
pub async fn find(config: &Config, metadata: &Metadata) -> Result<Option<DlqTopic>, Failure> {
    match partition_count(metadata, &config.dlq.topic) {
        Some(_) => ensure(config, metadata).await.map(Some),
        None => Ok(None),
    }
}

async fn create(admin: &AdminClient<DefaultClientContext>, dlq: &Dlq) -> Result<i32, Failure> {
    if request(admin, dlq, false).await? {
        tracing::info!(
            topic = dlq.topic,
            partitions = dlq.partitions,
            "created the dead-letter topic"
        );
    }
    // Where another copy was faster, the partition count is looked up again while the service runs.
    Ok(dlq.partitions)
}

/// Whether the topic could be created: the broker is asked to check the request and not to follow it.
pub async fn could_create(config: &Config) -> Result<(), Failure> {
    let admin = shared(&config.kafka)
        .create()
        .map_err(|error| Failure::unavailable(format!("Kafka: {error}")))?;
    request(&admin, &config.dlq, true).await.map(|_| ())
}

/// Asks for the topic. `false` when it is there already.
async fn request(
    admin: &AdminClient<DefaultClientContext>,
    dlq: &Dlq,
    validate_only: bool,
) -> Result<bool, Failure> {
    let retention = dlq.retention.as_millis().to_string();
    let replication = TopicReplication::Fixed(dlq.replication_factor.map_or(-1, i32::from));
    let topic = NewTopic::new(&dlq.topic, dlq.partitions, replication)
        .set("cleanup.policy", "delete")
        .set("retention.ms", &retention);
    let options = AdminOptions::new()
        .operation_timeout(Some(QUESTION_TIMEOUT))
        .request_timeout(Some(QUESTION_TIMEOUT))
        .validate_only(validate_only);
    let result = match admin.create_topics([&topic], &options).await {
        Ok(results) => results.into_iter().next().unwrap_or(Ok(dlq.topic.clone())),
        Err(KafkaError::AdminOp(code)) => Err((dlq.topic.clone(), code)),
        Err(error) => return Err(Failure::unavailable(format!("dlq.topic {}: {error}", dlq.topic))),
    };
    match result {
        Ok(_) => Ok(true),
        Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => Ok(false),
        Err((_, code)) => Err(refused(dlq, code)),
    }
}

fn refused(dlq: &Dlq, code: RDKafkaErrorCode) -> Failure {
    Failure::config(format!(
        "dlq.topic: {} does not exist and can't be created ({code}); create it with {} partitions, \
         cleanup.policy=delete and retention.ms={}, or allow this user to Create it",
        dlq.topic,
        dlq.partitions,
        dlq.retention.as_millis()
    ))
}

/// The settings of the topic; `None` when this user may not ask.
async fn describe(
    admin: &AdminClient<DefaultClientContext>,
    topic: &str,
    metadata: &Metadata,
) -> Option<ConfigResource> {
    // Any broker knows. Without a choice librdkafka asks the controller, and waits for one where none is elected;
    // its mock cluster never has one.
    let options = AdminOptions::new()
        .request_timeout(Some(QUESTION_TIMEOUT))
        .broker_id(metadata.brokers().first()?.id());
    let results = admin
        .describe_configs(&[ResourceSpecifier::Topic(topic)], &options)
        .await
        .ok()?;
    results.into_iter().next()?.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_topic_says_of_its_retention_comes_before_what_is_configured() {
        let day = Duration::from_secs(86_400);
        let kept = |text| Retention::parse(text).kept_for(day);
        assert_eq!(kept("1000"), Some(Duration::from_secs(1)));
        assert_eq!(kept("-1"), None);
        assert_eq!(kept("?"), Some(day));
        assert_eq!(Retention::Unknown.kept_for(day), Some(day));
    }
}
