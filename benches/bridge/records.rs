//! The records: what they look like, and topics full of them.
//!
//! The default envelope with a nested `data` object, about 450 bytes, from 10,000 sources. The same records serve the
//! realistic route, so each has a header too.

use std::ops::Range;
use std::time::Duration;

use kafka_redis_bridge::derive::{CommandSink, Derivation, Deriver, Limits, Options, Route};
use kafka_redis_bridge::record::{NoHeaders, Record};
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use crate::Fallible;

/// Where the digits of the id are, in a record's value and in the notification's payload alike.
pub const ID: Range<usize> = 7..27;
/// How many sources there are.
pub const SOURCES: u64 = 10_000;
/// The header of every record.
const HEADER: (&str, &[u8]) = ("X-Event-Type", b"PushEvent");
/// Producers' settings while topics are filled: a busy producer's.
pub const FILL_SETTINGS: [(&str, &str); 4] = [
    ("linger.ms", "50"),
    ("batch.size", "131072"),
    ("queue.buffering.max.messages", "1000000"),
    ("acks", "1"),
];

/// A route such as people write: pointers into the value, a header, two channels, two extra fields.
pub const REALISTIC_ROUTE: &str = r#"
[[routes]]
topics = ["^."]
id = "/id"
type = "header:X-Event-Type"
source_type = "literal:repo"
source_id = "/data/repository/full_name"
channels = ["events:{source_type}:{source_id}", "events:{source_type}"]
fields = { action = "/data/action", sender = "/data/sender/login" }
"#;
/// To how many channels the realistic route publishes.
pub const REALISTIC_CHANNELS: u64 = 2;

/// Writes the value of a record over `value`. `id` has at most twenty digits.
pub fn write_value(value: &mut Vec<u8>, id: u64, source: u64, random: &mut fastrand::Rng) {
    use std::io::Write as _;
    let (owner, repo) = (source % 997, source);
    let (commit, tree) = (random.u128(..), random.u128(..));
    value.clear();
    // Writing to a vector can't fail.
    let _ = write!(
        value,
        r#"{{"id":"{id:020}","type":"PushEvent","source_type":"repo","source_id":"owner-{owner:04}/repo-{repo:05}","data":{{"action":"opened","repository":{{"id":{repo},"full_name":"owner-{owner:04}/repo-{repo:05}","private":false}},"sender":{{"login":"owner-{owner:04}","admin":false}},"ref":"refs/heads/main","commits":[{{"id":"{commit:032x}","tree":"{tree:032x}","message":"Keep the order of the records","distinct":true,"files":[3,1,4]}}]}}}}"#
    );
}

/// The channel and the payload that the default envelope makes of a record.
pub fn notification(id: u64) -> (Vec<u8>, Vec<u8>) {
    #[derive(Default)]
    struct One(Vec<u8>, Vec<u8>);
    impl CommandSink for One {
        fn publish(&mut self, channel: &[u8], payload: &[u8]) {
            *self = Self(channel.to_vec(), payload.to_vec());
        }
    }
    let mut value = Vec::new();
    write_value(&mut value, id, id % SOURCES, &mut fastrand::Rng::with_seed(id));
    let record = Record {
        topic: "bench",
        partition: 0,
        offset: 0,
        timestamp_ms: None,
        key: None,
        value: Some(&value),
        headers: &NoHeaders,
    };
    let mut one = One::default();
    let derived = Route::default_envelope()
        .map(|route| Deriver::new(Limits::default()).derive(&route, &record, Options::default(), &mut one));
    assert!(matches!(derived, Ok(Derivation::Ready { .. })), "{derived:?}");
    (one.0, one.1)
}

/// Fills a topic with `records` records, evenly over its partitions; those of a source go to the same.
pub fn fill(client: ClientConfig, topic: &str, partitions: i32, records: u64, codec: &str) -> Fallible<()> {
    let mut config = client;
    for (name, value) in FILL_SETTINGS {
        config.set(name, value);
    }
    let producer: BaseProducer = config.set("compression.codec", codec).create()?;
    let mut value = Vec::new();
    let mut random = fastrand::Rng::with_seed(1);
    for id in 0..records {
        // A thousand partitions each have a share, and so has each of the sources.
        let source = id % SOURCES;
        write_value(&mut value, id, source, &mut random);
        let partition = i32::try_from(source)? % partitions;
        send(&producer, topic, partition, &value)?;
    }
    producer.flush(Duration::from_secs(60))?;
    Ok(())
}

/// Queues a record; waits while the queue is full.
pub fn send(producer: &BaseProducer, topic: &str, partition: i32, value: &[u8]) -> Fallible<()> {
    let header = Header {
        key: HEADER.0,
        value: Some(HEADER.1),
    };
    let headers = OwnedHeaders::new_with_capacity(1).insert(header);
    let mut record = BaseRecord::<(), [u8]>::to(topic)
        .partition(partition)
        .payload(value)
        .headers(headers);
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => record = back,
            Err((error, _)) => return Err(error.into()),
        }
        producer.poll(Duration::from_millis(10));
    }
}
