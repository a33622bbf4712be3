//! Poison among good records while copies come and go.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use support::bridge::Bridge;
use support::load::numbered;
use support::producer::NewRecord;
use support::scenario::Scenario;
use support::wait;

const PARTITIONS: i64 = 12;
const RECORDS: i64 = 100_000;
/// One record in so many is poison.
const POISON_EVERY: i64 = 100;
const LETTERS: i64 = RECORDS / POISON_EVERY;
const GOOD: usize = (RECORDS - LETTERS) as usize;
const REBALANCE: Duration = Duration::from_secs(30);
const MINUTE: Duration = Duration::from_secs(60);

/// A value for each reason that needs no forbidden channel.
fn poison(n: i64) -> (&'static str, String) {
    let envelope = |id: &str, source: &str| {
        format!(r#"{{"id":{id},"type":"test","source_type":"key","source_id":{source}}}"#)
    };
    match n % 6 {
        0 => ("invalid_json", r#"{"id":"#.to_owned()),
        1 => ("not_an_object", "[1]".to_owned()),
        2 => ("missing_field", r#"{"id":"1","type":"test"}"#.to_owned()),
        3 => ("wrong_type", envelope("true", r#""a""#)),
        4 => ("invalid_channel", envelope(r#""1""#, r#""a{b""#)),
        _ => (
            "notification_too_large",
            envelope(&format!(r#""{}""#, "9".repeat(2000)), r#""a""#),
        ),
    }
}

/// Writes everything, poison and good records mixed, and returns how many dead letters of each reason are due.
fn produce(scenario: &Scenario) -> BTreeMap<String, i64> {
    let producer = scenario.kafka.producer();
    let mut due = BTreeMap::new();
    for n in 0..RECORDS {
        let partition = i32::try_from(n % PARTITIONS).unwrap();
        let record = match n % POISON_EVERY {
            0 => {
                let (reason, value) = poison(n / POISON_EVERY);
                *due.entry(reason.to_owned()).or_insert(0) += 1;
                NewRecord::of(value).to(partition)
            }
            _ => numbered(partition, n / PARTITIONS).1,
        };
        producer.send(&scenario.topic, &record);
    }
    producer.flush();
    due
}

#[track_caller]
fn wait_shared(bridges: &[&Bridge]) {
    wait::until_true("the copies share the partitions", REBALANCE, || {
        let held: Vec<u64> = bridges.iter().map(|bridge| bridge.assigned()).collect();
        held.iter().all(|count| *count > 0) && held.iter().sum::<u64>() == PARTITIONS as u64
    });
}

#[test]
fn poison_is_in_the_queue_once_and_good_records_are_published_once_while_three_copies_rebalance() {
    let scenario = Scenario::new(require_kafka!(), PARTITIONS as i32);
    let config = scenario.config();
    let first = Bridge::start(&config);
    let (due, mut second, third) = std::thread::scope(|scope| {
        let producing = scope.spawn(|| produce(&scenario));
        let second = Bridge::start(&config);
        wait_shared(&[&first, &second]);
        let third = Bridge::start(&config);
        wait_shared(&[&first, &second, &third]);
        (producing.join().unwrap(), second, third)
    });
    second.stop_cleanly();
    wait_shared(&[&first, &third]);
    scenario.rig.wait_distinct(GOOD, MINUTE);
    scenario.wait_committed_to_end(MINUTE);

    assert_eq!(scenario.rig.recorder.notes().len(), GOOD, "each once");
    let letters = scenario.wait_dead_letters(LETTERS, MINUTE);
    assert_eq!(i64::try_from(letters.len()).unwrap(), LETTERS, "each once");
    let mut reasons = BTreeMap::new();
    for letter in letters.values() {
        let reason = letter.header("kafka_redis_bridge.reason").unwrap();
        *reasons.entry(reason).or_insert(0) += 1;
    }
    assert_eq!(reasons, due);
    for bridge in [&first, &third] {
        wait::until_true("the depth is the count", REBALANCE, || {
            bridge.metrics().count("dlq_depth_records", &[]) == LETTERS as u64
        });
        bridge.assert_books_balance();
    }
}
