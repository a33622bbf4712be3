//! Dead letters that are too large for their topic, and those that aren't although they are large.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::time::Duration;

use support::bridge::Bridge;
use support::kafka::ReadRecord;
use support::producer::NewRecord;
use support::scenario::Scenario;

const SOON: Duration = Duration::from_secs(30);

/// The dead letter of one record, on a dead-letter topic that takes so many bytes.
fn letter_of(scenario: &Scenario, max_bytes: &str, record: NewRecord) -> ReadRecord {
    let limit = [("max.message.bytes", max_bytes)];
    scenario.kafka.create_topic(&scenario.dlq(), 1, &limit);
    let mut bridge = Bridge::start(&scenario.config());
    scenario.kafka.produce(&scenario.topic, [record]);
    let letter = scenario.wait_dead_letters(1, SOON).remove("0-0").unwrap();
    scenario.wait_committed_to_end(SOON);
    bridge.stop_cleanly();
    letter
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[test]
fn too_large_for_the_topic_it_goes_without_its_value_and_says_so() {
    let scenario = Scenario::new(require_kafka!(), 1);
    let value = vec![b'x'; 5000];
    let record = NewRecord::of(value.clone()).key("k").header("mine", Some(b"1"));
    let letter = letter_of(&scenario, "2000", record);
    assert_eq!(
        (letter.key.as_deref(), letter.value.as_deref()),
        (Some(b"k".as_slice()), None)
    );
    assert_eq!(letter.header("mine").unwrap(), "1");
    assert_eq!(letter.header("kafka_redis_bridge.omitted").unwrap(), "value");
    assert_eq!(
        letter.header("kafka_redis_bridge.value_sha256").unwrap(),
        sha256(&value)
    );
    assert_eq!(
        letter.header("kafka_redis_bridge.reason").unwrap(),
        "invalid_json"
    );
}

#[test]
fn if_that_is_not_enough_it_goes_without_its_headers_too() {
    let scenario = Scenario::new(require_kafka!(), 1);
    let record = NewRecord::of("poison")
        .key("k")
        .header("mine", Some(&[b'h'; 5000]));
    let letter = letter_of(&scenario, "2000", record);
    assert_eq!(
        (letter.key.as_deref(), letter.value.as_deref()),
        (Some(b"k".as_slice()), None)
    );
    assert_eq!(letter.header("mine"), None);
    assert_eq!(
        letter.header("kafka_redis_bridge.omitted").unwrap(),
        "value,headers"
    );
    assert_eq!(
        letter.header("kafka_redis_bridge.value_sha256").unwrap(),
        sha256(b"poison")
    );
    assert_eq!(letter.header("__dlq.errors.offset").unwrap(), "0");
}

#[test]
fn the_producers_limit_follows_the_topics() {
    let mut scenario = Scenario::new(require_kafka!(), 1);
    scenario.topic = format!("{}-large", scenario.topic);
    scenario
        .kafka
        .create_topic(&scenario.topic, 1, &[("max.message.bytes", "5000000")]);
    let value = vec![b'x'; 3_500_000];
    let letter = letter_of(&scenario, "5000000", NewRecord::of(value.clone()));
    assert_eq!(letter.header("kafka_redis_bridge.omitted"), None);
    assert!(letter.value == Some(value), "the value is whole");
}
