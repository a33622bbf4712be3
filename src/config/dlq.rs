//! `[dlq]`: where dead letters go, and how fast.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::kafka::Kafka;
use super::problem::Problems;
use super::{duration, names};

/// The `[dlq]` section.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dlq {
    /// The topic of the dead letters. `<group_id>.dlq` unless one is given; never empty once loaded.
    pub topic: String,
    /// How many partitions the topic gets if the bridge has to create it.
    pub partitions: i32,
    /// How long the topic keeps dead letters if the bridge has to create it.
    #[serde(with = "duration")]
    pub retention: Duration,
    /// How many replicas the topic gets if the bridge has to create it; without it as many as the broker's default.
    #[serde(serialize_with = "super::or_unset")]
    pub replication_factor: Option<i16>,
    /// Keeps a flood of bad records from becoming a flood of dead letters.
    pub guard: Guard,
}

/// The `[dlq.guard]` section: when a partition has mostly dead letters, only a trickle of them is admitted.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Guard {
    /// This many dead letters in a row are admitted at full speed.
    pub burst: u32,
    /// After that, this many each second.
    pub rate: f64,
    /// A share of dead letters among the recent records above which the guard steps in, too.
    pub share: f64,
}

impl Default for Dlq {
    fn default() -> Self {
        Self {
            topic: String::new(),
            partitions: 12,
            retention: Duration::from_secs(30 * 86_400),
            replication_factor: None,
            guard: Guard::default(),
        }
    }
}

impl Default for Guard {
    fn default() -> Self {
        Self {
            burst: 100,
            rate: 1.0,
            share: 0.5,
        }
    }
}

impl Dlq {
    /// Fills in the topic and checks it.
    pub(super) fn resolve(&mut self, kafka: &Kafka, problems: &mut Problems) {
        if self.topic.is_empty() {
            self.topic = format!("{}.dlq", kafka.group_id);
            if !kafka.group_id.is_empty()
                && let Some(fault) = names::topic_fault(&self.topic)
            {
                let message =
                    format!("names the dead letter queue, too, but {fault}; rename it, or set dlq.topic");
                problems.add("kafka.group_id", message);
            }
        } else if let Some(fault) = names::topic_fault(&self.topic) {
            problems.add("dlq.topic", fault);
        } else if names::is_internal(&self.topic) {
            problems.add(
                "dlq.topic",
                format!("`{}` is Kafka's own; name another topic", self.topic),
            );
        }
        if let Some(n) = kafka.topics.iter().position(|topic| *topic == self.topic) {
            let message = format!(
                "`{}` is the dead letter queue, which is never consumed; leave it out, or set another dlq.topic",
                self.topic
            );
            problems.add(&format!("kafka.topics[{n}]"), message);
        }
        self.check(problems);
    }

    fn check(&self, problems: &mut Problems) {
        if self.partitions < 1 {
            problems.add(
                "dlq.partitions",
                format!("{} is out of range; 1 or more", self.partitions),
            );
        }
        if self.retention.is_zero() {
            problems.add("dlq.retention", "must be more than zero");
        }
        if self.replication_factor.is_some_and(|factor| factor < 1) {
            problems.add(
                "dlq.replication_factor",
                "must be 1 or more; leave it out for the broker's default",
            );
        }
        if self.guard.burst == 0 {
            problems.add("dlq.guard.burst", "must be 1 or more");
        }
        if !(self.guard.rate > 0.0 && self.guard.rate.is_finite()) {
            problems.add(
                "dlq.guard.rate",
                "must be more than zero: dead letters each second",
            );
        }
        if !(self.guard.share > 0.0 && self.guard.share <= 1.0) {
            let message = format!("{} is out of range; above 0 and at most 1", self.guard.share);
            problems.add("dlq.guard.share", message);
        }
    }
}
