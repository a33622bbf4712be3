//! A topic that a command reads by itself: whether it is there, and where in it.

use std::str::FromStr;

use jiff::Timestamp;

use crate::bridge::find_topics;
use crate::config::Kafka;
use crate::dlq::topic;
use crate::exit::{Exit, Failure};
use crate::source::topics::Topics;

/// Where reading starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// At the log start.
    Earliest,
    /// A few records before the end.
    Latest,
    /// At this offset of every partition that is read.
    Offset(i64),
    /// At the first record of that time or later.
    Time(Timestamp),
}

impl FromStr for From {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "earliest" => return Ok(Self::Earliest),
            "latest" => return Ok(Self::Latest),
            _ => {}
        }
        if let Ok(offset) = text.parse::<i64>()
            && offset >= 0
        {
            return Ok(Self::Offset(offset));
        }
        text.parse().map(Self::Time).map_err(|_| {
            "write earliest, latest, an offset, or an RFC 3339 time such as 2026-01-31T12:00:00Z".to_owned()
        })
    }
}

/// How many partitions the topic has; `None` when it isn't there. Waits for Kafka as long as `run` would.
pub fn partition_count(kafka: &Kafka, name: &str) -> Result<Option<i32>, Failure> {
    if name.starts_with('^') {
        return Err(Failure::new(
            Exit::Usage,
            "--topic: name one topic, no expression",
        ));
    }
    let topics = Topics::new(&[name.to_owned()], "").map_err(|error| Failure::config(error.to_string()))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::software(format!("no runtime: {error}")))?;
    let metadata = runtime.block_on(find_topics(kafka, &topics))?;
    Ok(topic::partition_count(&metadata, name))
}

/// What is said of a topic that isn't there, which `key` names.
pub fn missing(kafka: &Kafka, key: &str, name: &str) -> Failure {
    Failure::config(format!(
        "{key}: {name} does not exist on {}, or this user may not Describe it",
        kafka.bootstrap_servers
    ))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_start_is_a_word_an_offset_or_a_time() {
        assert_eq!("earliest".parse(), Ok(From::Earliest));
        assert_eq!("latest".parse(), Ok(From::Latest));
        assert_eq!("5000000000".parse(), Ok(From::Offset(5_000_000_000)));
        let time = "2026-01-31T12:00:00Z";
        assert_eq!(time.parse(), Ok(From::Time(time.parse().unwrap())));
        for wrong in ["-1", "", "yesterday"] {
            assert!(wrong.parse::<From>().is_err(), "{wrong}");
        }
    }
}
