//! Writes records to Kafka, whatever they look like.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext};

/// Headers as they are on the wire.
pub type HeaderList = Vec<(String, Option<Vec<u8>>)>;

/// A record to write.
#[derive(Debug, Clone, Default)]
pub struct NewRecord {
    partition: Option<i32>,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: HeaderList,
    timestamp: Option<i64>,
}

impl NewRecord {
    /// A record with this value.
    pub fn of(value: impl Into<Vec<u8>>) -> Self {
        Self {
            value: Some(value.into()),
            ..Self::default()
        }
    }

    /// A record whose value is null.
    pub fn tombstone() -> Self {
        Self::default()
    }

    /// Its partition and value.
    pub fn place(&self) -> (Option<i32>, Option<&[u8]>) {
        (self.partition, self.value.as_deref())
    }

    /// With a key.
    pub fn key(mut self, key: impl Into<Vec<u8>>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// To a partition.
    pub fn to(mut self, partition: i32) -> Self {
        self.partition = Some(partition);
        self
    }

    /// With one more header.
    pub fn header(mut self, name: &str, value: Option<&[u8]>) -> Self {
        self.headers.push((name.into(), value.map(<[u8]>::to_vec)));
        self
    }

    /// With a timestamp, in milliseconds.
    pub fn at(mut self, timestamp: i64) -> Self {
        self.timestamp = Some(timestamp);
        self
    }
}

/// Counts acknowledgements and keeps failures.
pub struct Deliveries {
    failures: Arc<Mutex<Vec<String>>>,
    acknowledged: Arc<AtomicU64>,
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(_) => drop(self.acknowledged.fetch_add(1, Ordering::SeqCst)),
            Err((error, _)) => self.failures.lock().unwrap().push(error.to_string()),
        }
    }
}

/// Writes records; a failed one is a failed test.
pub struct Producer {
    inner: BaseProducer<Deliveries>,
    failures: Arc<Mutex<Vec<String>>>,
    acknowledged: Arc<AtomicU64>,
}

impl Producer {
    /// A producer for many records, with this client configuration.
    pub fn of(mut config: ClientConfig) -> Self {
        let failures = Arc::new(Mutex::new(Vec::new()));
        let acknowledged = Arc::new(AtomicU64::new(0));
        let context = Deliveries {
            failures: Arc::clone(&failures),
            acknowledged: Arc::clone(&acknowledged),
        };
        config
            .set("linger.ms", "2")
            .set("enable.idempotence", "true")
            .set("queue.buffering.max.messages", "1000000")
            .set("message.max.bytes", "4000000");
        Self {
            inner: config.create_with_context(context).unwrap(),
            failures,
            acknowledged,
        }
    }

    /// Queues a record.
    pub fn send(&self, topic: &str, record: &NewRecord) {
        let mut next = BaseRecord::to(topic);
        next.partition = record.partition;
        next.key = record.key.as_deref();
        next.payload = record.value.as_deref();
        next.timestamp = record.timestamp;
        if !record.headers.is_empty() {
            let empty = OwnedHeaders::new_with_capacity(record.headers.len());
            next.headers = Some(record.headers.iter().fold(empty, |headers, (key, value)| {
                headers.insert(Header {
                    key,
                    value: value.as_ref(),
                })
            }));
        }
        loop {
            match self.inner.send(next) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => next = back,
                Err((error, _)) => panic!("can't produce: {error}"),
            }
            self.inner.poll(Duration::from_millis(10));
        }
        self.inner.poll(Duration::ZERO);
    }

    /// Waits for all acknowledgements.
    pub fn flush(&self) {
        self.inner.flush(Duration::from_secs(30)).unwrap();
        let failures = self.failures.lock().unwrap();
        assert!(failures.is_empty(), "not produced: {failures:?}");
    }

    /// How many records were acknowledged.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::SeqCst)
    }
}
