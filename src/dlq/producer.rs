//! Writes dead letters and tells what became of each.
//!
//! `acks=all` and idempotent: the offset of a record moves on only after its dead letter is acknowledged. A letter
//! that could not be written comes back whole, to be tried again; nothing is dropped here.

mod refresher;

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, unbounded};
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::producer::{
    BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext, PurgeConfig,
};

use super::letter::Letter;
use crate::config::Config;
use crate::derive::Reason;
use crate::progress::Offset;
use crate::source::client::shared;
use crate::source::context::{is_outage, log};
use crate::source::start::fnv1a;

/// An attempt at one dead letter may take this long; then it comes back.
const DELIVERY_TIMEOUT_MS: &str = "5000";
/// A dead letter waits so long for others: each request costs the brokers the same, and librdkafka sends one for each
/// partition.
const LINGER_MS: &str = "25";
/// Dead letters that wait in librdkafka, all partitions together.
const QUEUE_KBYTES: &str = "65536";

/// A dead letter and whose it is.
#[derive(Debug)]
pub struct Parcel {
    /// What is written.
    pub letter: Letter,
    /// The slot of the source partition.
    pub slot: u32,
    /// Its generation.
    pub generation: u32,
    /// The record.
    pub offset: Offset,
    /// Why.
    pub reason: Reason,
    /// Topic and partition that it was read from: they decide where it goes.
    pub source: (Arc<str>, i32),
}

/// What became of a dead letter.
#[derive(Debug)]
pub struct Receipt {
    /// The dead letter, which keeps its content when it has to be tried again.
    pub parcel: Box<Parcel>,
    /// The topic has it, or why not.
    pub result: Result<(), KafkaError>,
}

struct Context {
    receipts: Sender<Receipt>,
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        match is_outage(&error) {
            // The consumer tells that; a dead letter that waits for it is told with its partition.
            true => tracing::debug!(%error, "Kafka (dead letters): {reason}"),
            false => tracing::warn!(%error, "Kafka (dead letters): {reason}"),
        }
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = Box<Parcel>;

    fn delivery(&self, result: &DeliveryResult<'_>, parcel: Box<Parcel>) {
        let result = match result {
            Ok(_) => Ok(()),
            Err((error, _)) => Err(error.clone()),
        };
        // Nobody listens any more only when the service has given up waiting.
        let _ = self.receipts.send(Receipt { parcel, result });
    }
}

/// The producer of dead letters.
pub struct Producer {
    client: ClientConfig,
    inner: Arc<BaseProducer<Context>>,
    topic: String,
    partitions: Arc<AtomicI32>,
    refresh: Sender<()>,
    receipt_sender: Sender<Receipt>,
    receipts: Receiver<Receipt>,
}

impl Producer {
    /// Connects in the background. `partitions` is the present partition count of the topic, `max_bytes` the
    /// largest record that it takes.
    pub fn new(config: &Config, partitions: i32, max_bytes: usize) -> KafkaResult<Self> {
        let (receipt_sender, receipts) = unbounded();
        let client = client_config(config, max_bytes);
        let inner = create(&client, &receipt_sender)?;
        let topic = config.dlq.topic.clone();
        let partitions = Arc::new(AtomicI32::new(partitions.max(1)));
        let refresh = refresher::spawn(&inner, &client, topic.clone(), &partitions);
        Ok(Self {
            client,
            inner,
            topic,
            partitions,
            refresh,
            receipt_sender,
            receipts,
        })
    }

    /// Takes the next answer that is there, if any. Answers come in here and nowhere else: rdkafka's own polling thread
    /// spins for the last part of a millisecond of each tenth of a second.
    pub fn receipt(&self) -> Option<Receipt> {
        if self.receipts.is_empty() {
            self.inner.poll(Duration::ZERO);
        }
        self.receipts.try_recv().ok()
    }

    /// Hands a dead letter over. One that can't be taken comes back with the reason, as a receipt would bring it.
    pub fn send(&self, parcel: Box<Parcel>) -> Result<(), Receipt> {
        let count = self.partitions.load(Ordering::Relaxed);
        let partition = partition_for(&parcel.source.0, parcel.source.1, count);
        // librdkafka copies key and value; the parcel keeps its own, in case it has to be tried again.
        let (key, value) = (parcel.letter.key.clone(), parcel.letter.value.clone());
        let headers = parcel.letter.headers();
        let mut record = BaseRecord::with_opaque_to(&self.topic, parcel)
            .partition(partition)
            .headers(headers);
        if let Some(key) = &key {
            record = record.key(key.as_slice());
        }
        if let Some(value) = &value {
            record = record.payload(value.as_slice());
        }
        self.inner.send(record).map_err(|(error, record)| Receipt {
            parcel: record.delivery_opaque,
            result: Err(error),
        })
    }

    /// After a failure: the topic may have changed, so its partition count is looked up soon; and a producer that
    /// librdkafka has declared dead is replaced.
    pub fn recover(&mut self, error: &KafkaError) {
        let _ = self.refresh.try_send(());
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::Fatal)
            && self.inner.client().fatal_error().is_none()
        {
            return;
        }
        match create(&self.client, &self.receipt_sender) {
            Ok(inner) => {
                // What the old one still holds comes back as failed, and is tried again.
                self.abandon();
                self.inner = inner;
                self.refresh =
                    refresher::spawn(&self.inner, &self.client, self.topic.clone(), &self.partitions);
            }
            Err(error) => tracing::error!(%error, "the producer of dead letters can't be replaced"),
        }
    }

    /// Forgets what is still queued, so that ending doesn't wait for it.
    pub fn abandon(&self) {
        self.inner.purge(PurgeConfig::default().queue().inflight());
    }
}

/// The settings of a producer that loses nothing: `acks=all`, idempotent.
pub(crate) fn client_config(config: &Config, max_bytes: usize) -> ClientConfig {
    let mut client = shared(&config.kafka);
    client
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("message.timeout.ms", DELIVERY_TIMEOUT_MS)
        .set(
            "message.max.bytes",
            max_bytes.clamp(1000, 1_000_000_000).to_string(),
        )
        .set("queue.buffering.max.kbytes", QUEUE_KBYTES)
        .set("linger.ms", LINGER_MS)
        .set("topic.metadata.propagation.max.ms", "5000")
        .set("topic.metadata.refresh.interval.ms", "10000");
    client
}

fn create(client: &ClientConfig, receipts: &Sender<Receipt>) -> KafkaResult<Arc<BaseProducer<Context>>> {
    Ok(Arc::new(client.create_with_context(Context {
        receipts: receipts.clone(),
    })?))
}

/// The same source partition goes to the same partition of the dead-letter topic while that one's count stays.
fn partition_for(topic: &str, partition: i32, count: i32) -> i32 {
    let count = count.max(1).unsigned_abs();
    let first = u32::try_from(fnv1a(topic.as_bytes()) % u64::from(count)).unwrap_or(0);
    i32::try_from((first + partition.unsigned_abs() % count) % count).unwrap_or(0)
}

/// Whether a letter is larger than the topic takes.
pub fn is_too_large(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(RDKafkaErrorCode::MessageSizeTooLarge | RDKafkaErrorCode::InvalidMessageSize)
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn partitions_of_a_topic_spread_evenly_and_stay(topic in "[a-z.]{1,30}", count in 1i32..50) {
            let mut hits = vec![0; count as usize];
            for partition in 0..count {
                let target = partition_for(&topic, partition, count);
                prop_assert_eq!(target, partition_for(&topic, partition, count));
                hits[target as usize] += 1;
            }
            prop_assert!(hits.iter().all(|&n| n == 1));
        }
    }
}
