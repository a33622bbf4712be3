//! `[kafka]`: the cluster, the group and the topics.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use regex::Regex;
use serde::de::{self, Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};
use serde::{Deserialize as DeserializeDerive, Serialize as SerializeDerive};

use super::problem::Problems;
use super::properties::Properties;
use super::{duration, names};

/// The `[kafka]` section.
#[derive(Debug, Clone, PartialEq, Eq, DeserializeDerive, SerializeDerive)]
#[serde(default, deny_unknown_fields)]
pub struct Kafka {
    /// Brokers to start from: `host:port`, with commas between several.
    pub bootstrap_servers: String,
    /// The consumer group; every copy of the bridge that shares the work has the same.
    pub group_id: String,
    /// Topics to tail: names, and regular expressions that start with `^`.
    pub topics: Vec<String>,
    /// Where a named topic starts that the group sees for the first time.
    pub start_from: StartFrom,
    /// How long Kafka may be out of reach at the start.
    #[serde(with = "duration")]
    pub startup_timeout: Duration,
    /// librdkafka properties: security, network, tuning.
    pub properties: Properties,
}

/// Where a topic starts that the group sees for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartFrom {
    /// At its end: what is there already isn't announced.
    Latest,
    /// At its beginning.
    Earliest,
    /// At the first record of that time or later.
    Time(Timestamp),
}

impl Default for Kafka {
    fn default() -> Self {
        Self {
            bootstrap_servers: String::new(),
            group_id: "kafka-redis-bridge".to_owned(),
            topics: Vec::new(),
            start_from: StartFrom::Latest,
            startup_timeout: Duration::from_secs(30),
            properties: Properties::default(),
        }
    }
}

impl fmt::Display for StartFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest => f.write_str("latest"),
            Self::Earliest => f.write_str("earliest"),
            Self::Time(time) => time.fmt(f),
        }
    }
}

impl Serialize for StartFrom {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for StartFrom {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.as_str() {
            "latest" => Ok(Self::Latest),
            "earliest" => Ok(Self::Earliest),
            time => time.parse().map(Self::Time).map_err(|_| {
                de::Error::custom(format!(
                    "`{text}` is none of \"latest\", \"earliest\" and an RFC 3339 time such as \"2026-01-31T12:00:00Z\""
                ))
            }),
        }
    }
}

impl Kafka {
    pub(super) fn check(&self, problems: &mut Problems) {
        if self.bootstrap_servers.trim().is_empty() {
            problems.add_missing("kafka.bootstrap_servers", "--bootstrap-servers");
        }
        for server in self
            .bootstrap_servers
            .split(',')
            .filter(|_| !self.bootstrap_servers.trim().is_empty())
        {
            if let Some(fault) = server_fault(server.trim()) {
                problems.add("kafka.bootstrap_servers", fault);
            }
        }
        if self.group_id.trim().is_empty() {
            problems.add(
                "kafka.group_id",
                "is empty; name the consumer group, or leave it out",
            );
        }
        if self.startup_timeout.is_zero() {
            problems.add("kafka.startup_timeout", "must be more than zero");
        }
        self.check_topics(problems);
        self.properties.check(problems);
    }

    fn check_topics(&self, problems: &mut Problems) {
        if self.topics.is_empty() {
            problems.add_missing("kafka.topics", "--topic");
        }
        for (n, topic) in self.topics.iter().enumerate() {
            let fault = if self.topics[..n].contains(topic) {
                Some(format!("`{topic}` is listed twice; leave one out"))
            } else if topic.starts_with('^') {
                regex_fault(topic)
            } else if names::is_internal(topic) {
                Some(format!(
                    "`{topic}` is Kafka's own and is never consumed; leave it out"
                ))
            } else {
                names::topic_fault(topic).map(|fault| match topic.contains(['*', '|', '(', '[', '+', '?']) {
                    true => format!("{fault}; a regular expression starts with `^`"),
                    false => fault,
                })
            };
            if let Some(fault) = fault {
                problems.add(&format!("kafka.topics[{n}]"), fault);
            }
        }
    }
}

/// librdkafka reads subscriptions as POSIX extended expressions, routes are read by the `regex` crate: only what
/// means the same to both is accepted.
fn dialect_fault(pattern: &str) -> Option<String> {
    let perl = pattern.as_bytes().windows(2).find(|pair| {
        (pair[0] == b'\\' && pair[1].is_ascii_alphanumeric())
            || (matches!(pair[0], b'(' | b'*' | b'+' | b'?' | b'}') && pair[1] == b'?')
    })?;
    Some(format!(
        "`{}` holds `{}`, which Kafka's client doesn't know; write it as a POSIX extended expression, [0-9] for \\d",
        pattern.escape_debug(),
        String::from_utf8_lossy(perl)
    ))
}

fn regex_fault(pattern: &str) -> Option<String> {
    if let Some(fault) = dialect_fault(pattern) {
        return Some(fault);
    }
    let error = Regex::new(pattern).err()?;
    // The message shows the pattern over several lines; its last one says what is wrong.
    let text = error.to_string();
    let reason = text
        .lines()
        .last()
        .unwrap_or_default()
        .trim()
        .trim_start_matches("error: ");
    Some(format!(
        "`{}` is no regular expression: {reason}",
        pattern.escape_debug()
    ))
}

fn server_fault(server: &str) -> Option<String> {
    let host_and_port = server.rsplit_once("://").map_or(server, |(_, rest)| rest);
    let (host, port) = match host_and_port.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (host_and_port, None),
    };
    if host.is_empty() {
        Some("a host is missing; write host:port, with commas between several".to_owned())
    } else if host.contains(char::is_whitespace) {
        Some("a host holds a space; write host:port, with commas between several".to_owned())
    } else if port.is_some_and(|port| !port.parse::<u16>().is_ok_and(|port| port > 0)) {
        Some("a port isn't a number from 1 to 65535; write host:port, with commas between several".to_owned())
    } else {
        None
    }
}
