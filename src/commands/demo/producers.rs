//! The sample producers: they write to Kafka, and to nothing else.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer};
use tokio::time::MissedTickBehavior;

use super::events::{Events, Fate};
use super::tally::Tally;
use crate::exit::Failure;
use crate::source::context;

/// How long Kafka may take to acknowledge the last records.
const FLUSH: Duration = Duration::from_secs(5);

/// Counts what Kafka acknowledges.
struct Acknowledgements(Arc<Tally>);

impl ClientContext for Acknowledgements {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        context::log(level, facility, message);
    }
}

impl ProducerContext for Acknowledgements {
    type DeliveryOpaque = Box<Fate>;

    fn delivery(&self, result: &DeliveryResult<'_>, fate: Box<Fate>) {
        match result {
            Ok(_) => self.0.produced(*fate),
            Err((error, _)) => {
                tracing::warn!(%error, "a sample could not be produced");
                self.0.refused(*fate);
            }
        }
    }
}

/// Writes sample events.
pub struct Producers {
    client: ThreadedProducer<Acknowledgements>,
    tally: Arc<Tally>,
    events: Events,
}

impl Producers {
    /// Producers that write nothing yet.
    pub fn new(kafka: &str, tally: Arc<Tally>) -> Result<Self, Failure> {
        let client = ClientConfig::new()
            .set("bootstrap.servers", kafka)
            .set("client.id", "sample-producers")
            .set("linger.ms", "0")
            .create_with_context(Acknowledgements(Arc::clone(&tally)))
            .map_err(|error| Failure::software(format!("sample producers: {error}")))?;
        Ok(Self {
            client,
            tally,
            events: Events::default(),
        })
    }

    /// Writes `rate` events a second, for ever.
    pub async fn write(&mut self, rate: u32) {
        let mut ticks = tokio::time::interval(Duration::from_secs(1) / rate);
        // A tick is a record: those that the timer is too coarse for are made up for.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        loop {
            ticks.tick().await;
            self.write_one();
        }
    }

    fn write_one(&mut self) {
        let sample = self.events.next(Timestamp::now());
        let mut record = BaseRecord::with_opaque_to(sample.topic, Box::new(sample.fate)).key(sample.key);
        if let Some(value) = &sample.value {
            record = record.payload(value.as_slice());
        }
        self.tally.sending(sample.fate);
        if let Err((error, record)) = self.client.send(record) {
            tracing::warn!(%error, "a sample could not be produced");
            self.tally.refused(*record.delivery_opaque);
        }
    }

    /// Waits until Kafka has acknowledged everything.
    pub async fn finish(self) -> Result<(), Failure> {
        tokio::task::spawn_blocking(move || self.client.flush(FLUSH))
            .await
            .map_err(|error| Failure::software(format!("sample producers: {error}")))?
            .map_err(|error| Failure::software(format!("sample producers: {error}")))
    }
}
