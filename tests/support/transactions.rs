//! Records in transactions.

use std::time::Duration;

use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use super::kafka::{Kafka, fresh};
use super::producer::NewRecord;

const TIMEOUT: Duration = Duration::from_secs(20);

/// A transaction that is neither committed nor aborted yet; its records are in the log.
pub struct Open(BaseProducer);

impl Open {
    /// Writes these records in a transaction of their own.
    pub fn begin(kafka: &Kafka, topic: &str, records: Vec<NewRecord>) -> Self {
        let mut config = kafka.client();
        config
            .set("transactional.id", fresh("transactions"))
            .set("linger.ms", "2");
        let producer: BaseProducer = config.create().unwrap();
        producer.init_transactions(TIMEOUT).unwrap();
        producer.begin_transaction().unwrap();
        for record in &records {
            let mut next: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic);
            (next.partition, next.payload) = record.place();
            producer.send(next).map_err(|(error, _)| error).unwrap();
        }
        producer.flush(TIMEOUT).unwrap();
        Self(producer)
    }

    /// Its records count.
    pub fn commit(self) {
        self.0.commit_transaction(TIMEOUT).unwrap();
    }

    /// They don't.
    pub fn abort(self) {
        self.0.abort_transaction(TIMEOUT).unwrap();
    }
}

/// Writes these records in a transaction that is committed.
pub fn commit(kafka: &Kafka, topic: &str, records: Vec<NewRecord>) {
    Open::begin(kafka, topic, records).commit();
}

/// Writes these records in a transaction that is aborted.
pub fn abort(kafka: &Kafka, topic: &str, records: Vec<NewRecord>) {
    Open::begin(kafka, topic, records).abort();
}
