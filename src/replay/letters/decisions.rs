//! What the group decides, for the member to answer when nothing is under way any more.

use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::Sender;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaRespErr;

/// What the group decides.
#[derive(Debug)]
pub enum Event {
    /// These partitions are ours.
    Assigned(Vec<i32>),
    /// None is ours any more once we agree; `lost`: none has been for a while.
    Revoked { lost: bool },
}

/// Queues what the group decides.
pub struct Context {
    events: Sender<Event>,
    leaving: AtomicBool,
}

impl Context {
    /// Events go to `events`.
    pub fn new(events: Sender<Event>) -> Self {
        Self {
            events,
            leaving: AtomicBool::new(false),
        }
    }

    /// From now on whatever the group decides is agreed to at once.
    pub fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }
}

impl ClientContext for Context {
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(facility, "librdkafka: {message}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // The end of a partition is no error here: it is asked for.
        let is_end = error.rdkafka_error_code() == Some(RDKafkaErrorCode::PartitionEOF);
        if !is_end {
            tracing::warn!(%error, "Kafka: {reason}");
        }
    }
}

impl ConsumerContext for Context {
    /// Only notes what is to be done: what is under way has to arrive first. While leaving, nothing is.
    fn rebalance(&self, consumer: &BaseConsumer<Self>, error: RDKafkaRespErr, list: &mut TopicPartitionList) {
        if self.leaving.load(Ordering::Relaxed) {
            if let Err(error) = consumer.unassign() {
                tracing::debug!(%error, "giving partitions up at the end");
            }
            return;
        }
        let event = match error {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => Event::Assigned(
                list.elements()
                    .iter()
                    .map(|element| element.partition())
                    .collect(),
            ),
            _ => Event::Revoked {
                lost: consumer.assignment_lost(),
            },
        };
        // The receiver lives as long as the consumer.
        let _ = self.events.send(event);
    }
}
