//! What a replay writes to Kafka: dead letters that failed again, those that make room in the commit's note, and with
//! `--to-source` the original records. Each is acknowledged before its old dead letter is resolved.

use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, unbounded};
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{
    BaseRecord, DeliveryResult, Producer as _, ProducerContext, PurgeConfig, ThreadedProducer,
};

use super::outgoing::{Content, Outgoing, Place};
use super::tally::Fate;
use crate::config::Config;
use crate::dlq::producer::{client_config, is_too_large};
use crate::exit::Failure;

/// So many records are under way at most, and so many bytes.
const MAX_RECORDS: usize = 4096;
const MAX_BYTES: usize = 16 << 20;
/// An attempt takes five seconds when nobody answers; after so many the topic is taken to be gone.
const MAX_ATTEMPTS: u32 = 6;

/// A record is written, or never will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// Whose.
    pub place: Place,
    /// What has become of the dead letter.
    pub fate: Fate,
    /// The topic has the record.
    pub written: bool,
}

type Delivery = (Box<Outgoing>, Result<(), KafkaError>);

struct Context(Sender<Delivery>);

impl ClientContext for Context {
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(facility, "librdkafka: {message}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, "Kafka: {reason}");
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = Box<Outgoing>;

    fn delivery(&self, result: &DeliveryResult<'_>, outgoing: Box<Outgoing>) {
        let result = match result {
            Ok(_) => Ok(()),
            Err((error, _)) => Err(error.clone()),
        };
        // Nobody listens any more only when the replay has been given up.
        let _ = self.0.send((outgoing, result));
    }
}

/// Writes, and tells what is written.
pub struct Back {
    producer: ThreadedProducer<Context>,
    deliveries: Receiver<Delivery>,
    records: usize,
    bytes: usize,
}

impl Back {
    /// Connects in the background.
    pub fn new(config: &Config, max_bytes: usize) -> Result<Self, Failure> {
        let (sender, deliveries) = unbounded();
        let producer = client_config(config, max_bytes)
            .create_with_context(Context(sender))
            .map_err(|error| Failure::config(format!("kafka.properties: {error}")))?;
        Ok(Self {
            producer,
            deliveries,
            records: 0,
            bytes: 0,
        })
    }

    /// Whether another record can be taken.
    pub fn has_room(&self) -> bool {
        self.records < MAX_RECORDS && self.bytes < MAX_BYTES
    }

    /// Whether nothing is under way.
    pub fn is_idle(&self) -> bool {
        self.records == 0
    }

    /// Hands a record over.
    pub fn send(&mut self, outgoing: Outgoing) -> Result<Option<Receipt>, Failure> {
        self.records += 1;
        self.bytes += outgoing.bytes();
        self.post(Box::new(outgoing))
    }

    fn post(&mut self, outgoing: Box<Outgoing>) -> Result<Option<Receipt>, Failure> {
        // librdkafka copies key and value; the record keeps its own, in case it has to be tried again.
        let (key, value, headers) = match &outgoing.content {
            Content::Letter(letter) => (letter.key.clone(), letter.value.clone(), Some(letter.headers())),
            Content::Record { key, value, headers } => (key.clone(), value.clone(), headers.clone()),
        };
        let (topic, partition, timestamp) = (outgoing.topic.clone(), outgoing.partition, outgoing.timestamp);
        let mut record = BaseRecord::with_opaque_to(&topic, outgoing).partition(partition);
        record.key = key.as_deref();
        record.payload = value.as_deref();
        record.headers = headers;
        record.timestamp = timestamp;
        match self.producer.send(record) {
            Ok(()) => Ok(None),
            Err((error, record)) => self.settle(record.delivery_opaque, Err(error)),
        }
    }

    /// Takes what is answered, after waiting at most so long for the first.
    pub fn take_receipts(&mut self, wait: Duration, mut take: impl FnMut(Receipt)) -> Result<(), Failure> {
        let mut next = match wait.is_zero() || self.records == 0 {
            true => self.deliveries.try_recv().ok(),
            false => self.deliveries.recv_timeout(wait).ok(),
        };
        while let Some((outgoing, result)) = next {
            if let Some(receipt) = self.settle(outgoing, result)? {
                take(receipt);
            }
            next = self.deliveries.try_recv().ok();
        }
        Ok(())
    }

    fn settle(
        &mut self,
        mut outgoing: Box<Outgoing>,
        result: Result<(), KafkaError>,
    ) -> Result<Option<Receipt>, Failure> {
        let size = outgoing.bytes();
        match result {
            Err(error) if is_too_large(&error) && outgoing.shrink() => {
                self.bytes = (self.bytes + outgoing.bytes()).saturating_sub(size);
                return self.post(outgoing);
            }
            Err(error) if outgoing.fate == Fate::Replayed && is_final(&error) => {
                let topic = &outgoing.topic;
                tracing::warn!(topic, partition = outgoing.partition, %error, "its topic does not take it");
            }
            Err(error) => {
                outgoing.attempts += 1;
                if outgoing.attempts < MAX_ATTEMPTS && !is_refused(&error) {
                    return self.post(outgoing);
                }
                return Err(given_up(&outgoing.topic, &error));
            }
            Ok(()) => {
                self.forget(size);
                return Ok(Some(receipt(&outgoing, true)));
            }
        }
        self.forget(size);
        Ok(Some(receipt(&outgoing, false)))
    }

    fn forget(&mut self, size: usize) {
        self.records = self.records.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(size);
    }
}

impl Drop for Back {
    /// What is still queued when a replay is given up must not hold it.
    fn drop(&mut self) {
        self.producer.purge(PurgeConfig::default().queue().inflight());
    }
}

fn receipt(outgoing: &Outgoing, written: bool) -> Receipt {
    let Outgoing { place, fate, .. } = *outgoing;
    Receipt { place, fate, written }
}

/// Whether that topic will never take that record.
fn is_final(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{
        InvalidRecord, InvalidTimestamp, UnknownPartition, UnknownTopic, UnknownTopicOrPartition,
    };
    is_too_large(error)
        || is_refused(error)
        || matches!(
            error.rdkafka_error_code(),
            Some(
                InvalidRecord | InvalidTimestamp | UnknownPartition | UnknownTopic | UnknownTopicOrPartition
            )
        )
}

fn is_refused(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{ClusterAuthorizationFailed, TopicAuthorizationFailed};
    matches!(
        error.rdkafka_error_code(),
        Some(TopicAuthorizationFailed | ClusterAuthorizationFailed)
    )
}

fn given_up(topic: &str, error: &KafkaError) -> Failure {
    let text = format!("{topic} can't be written: {error}");
    match is_refused(error) {
        true => Failure::config(text),
        false => Failure::unavailable(text),
    }
}
