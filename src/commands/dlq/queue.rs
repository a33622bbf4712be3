//! The dead-letter topic as it is now.

use crate::commands::topic::partition_count;
use crate::config::Derivation;
use crate::dlq::depth::Depth;
use crate::dlq::meter::Meter;
use crate::exit::Failure;
use crate::source::range::Reader;

/// The queue, measured.
pub struct Queue {
    /// What the configuration says.
    pub config: Derivation,
    /// What is open and what is resolved; no partitions where there is no such topic.
    pub depth: Depth,
    meter: Meter,
}

impl Queue {
    /// Waits for Kafka, as long as `run` would, and measures the queue.
    pub fn open(config: Derivation) -> Result<Self, Failure> {
        let topic = &config.dlq.topic;
        let is_there = partition_count(&config.kafka, topic)?.is_some();
        let mut meter = Meter::new(&config.kafka, topic)?;
        let depth = match is_there {
            true => meter.depth()?.unwrap_or_default(),
            false => Depth::default(),
        };
        if depth.partitions.is_empty() {
            eprintln!(
                "{topic} does not exist on {}: no dead letter was ever written, or this user may not Describe it",
                config.kafka.bootstrap_servers
            );
        }
        Ok(Self { config, depth, meter })
    }

    /// The name of the topic.
    pub fn topic(&self) -> &str {
        &self.config.dlq.topic
    }

    /// Something to read it with.
    pub fn reader(&self) -> Result<Reader, Failure> {
        Reader::new(&self.config.kafka, self.topic())
    }

    /// When the oldest open letter was written, in milliseconds since the epoch.
    pub fn oldest_ms(&mut self) -> Result<Option<i64>, Failure> {
        self.meter.oldest_ms(&self.depth)
    }
}
