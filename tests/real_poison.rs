//! Records of every odd kind end where they should, and their neighbours don't notice.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use sha2::{Digest, Sha256};
use support::bridge::Bridge;
use support::load::numbered;
use support::odd::End::{Dead, Either, Heard, Tombstone};
use support::odd::{End, odd_records};
use support::producer::NewRecord;
use support::recorder::Note;
use support::scenario::Scenario;
use support::wait;

const SOON: Duration = Duration::from_secs(20);

#[test]
fn every_odd_record_ends_where_it_should_and_its_neighbours_are_unaffected() {
    let scenario = Scenario::new(require_kafka!(), 1);
    let mut bridge = Bridge::start(&scenario.config());
    let odd = odd_records();
    // A good neighbour after each: even offsets are odd records, odd offsets good ones.
    let neighbour = |at: usize| numbered(0, i64::try_from(2 * at + 1).unwrap()).1;
    let all = odd
        .iter()
        .enumerate()
        .flat_map(|(at, (record, _))| [record.clone(), neighbour(at)]);
    scenario.kafka.produce(&scenario.topic, all);
    scenario.wait_committed_to_end(SOON);
    bridge.stop_cleanly();

    let letters: BTreeMap<i64, String> = scenario
        .dead_letters()
        .iter()
        .map(|letter| {
            let offset = letter.header("__dlq.errors.offset").unwrap().parse().unwrap();
            (offset, letter.header("kafka_redis_bridge.reason").unwrap())
        })
        .collect();
    let notes = scenario.rig.recorder.notes();
    let times = |id: &str| notes.iter().filter(|note| note.id() == id).count();
    for (at, (record, end)) in odd.iter().enumerate() {
        let offset = 2 * at as i64;
        let reason = letters.get(&offset).map(String::as_str);
        match end {
            Dead(expected) => assert_eq!(reason, Some(*expected), "{record:?}"),
            Heard(id) => assert_eq!((reason, times(id)), (None, 1), "{record:?}"),
            Tombstone => assert_eq!(reason, None, "{record:?}"),
            Either => {}
        }
        assert_eq!(
            times(&format!("0-{}", offset + 1)),
            1,
            "the neighbour of {record:?}"
        );
    }
    let of = |wanted: fn(&End) -> bool| odd.iter().filter(|(_, end)| wanted(end)).count() as u64;
    let scrape = bridge.last_metrics();
    assert_eq!(
        scrape.settled_for("skipped", "tombstone"),
        of(|end| *end == Tombstone)
    );
    assert_eq!(scrape.settled("dead_lettered"), letters.len() as u64);
    assert_eq!(
        scrape.count("dlq_records_produced_total", &[]),
        letters.len() as u64
    );
    let published = of(|end| matches!(end, Heard(_) | Either)) + odd.len() as u64;
    assert!(scrape.settled("published") + 1 >= published);
    assert_eq!(scrape.settled("published") as usize, notes.len());
}

#[test]
fn a_notification_is_lightweight_and_its_fields_are_strings() {
    let scenario = Scenario::new(require_kafka!(), 1);
    let _bridge = Bridge::start(&scenario.config());
    let value = r#"{"id":7,"type":"push","source_type":"repo","source_id":"owner/repo","occurred_at":"2026-01-01T00:00:00Z","correlation_id":"c-1","body":{"secret":1}}"#;
    let plain = r#"{"id":"8","type":"push","source_type":"user","source_id":12}"#;
    scenario
        .kafka
        .produce(&scenario.topic, [NewRecord::of(value), NewRecord::of(plain)]);
    scenario.rig.wait_distinct(2, SOON);
    let notes = scenario.rig.recorder.notes();
    let expected = serde_json::json!({"id":"7","type":"push","source_id":"owner/repo","occurred_at":"2026-01-01T00:00:00Z","correlation_id":"c-1"});
    assert_eq!(
        (notes[0].channel.as_str(), notes[0].json()),
        ("events:repo:owner/repo", expected)
    );
    let expected = serde_json::json!({"id":"8","type":"push","source_id":"12"});
    assert_eq!(
        (notes[1].channel.as_str(), notes[1].json()),
        ("events:user:12", expected)
    );
}

#[test]
fn a_megabyte_is_published_lightly_and_a_megabyte_of_poison_is_kept_by_its_hash() {
    let kafka = require_kafka!();
    let mut scenario = Scenario::new(kafka, 1);
    scenario.topic = support::kafka::fresh("large");
    scenario
        .kafka
        .create_topic(&scenario.topic, 1, &[("max.message.bytes", "4000000")]);
    let bridge = Bridge::start(&scenario.config());
    let padding = "p".repeat(1 << 20);
    let good =
        format!(r#"{{"body":"{padding}","id":"large","type":"t","source_type":"key","source_id":"s"}}"#);
    let poison = format!(r#"{{"body":"{padding}"}}"#);
    let records = [
        NewRecord::of(good),
        NewRecord::of(poison.as_str()).key("k"),
        numbered(0, 2).1,
    ];
    scenario.kafka.produce(&scenario.topic, records);
    scenario.rig.recorder.wait_ids(&["large", "0-2"], SOON);
    let letter = scenario.wait_dead_letters(1, SOON).remove("0-1").unwrap();
    assert_eq!(
        letter.header("kafka_redis_bridge.reason").unwrap(),
        "missing_field"
    );
    if letter.value.is_none() {
        let hash: String = Sha256::digest(&poison)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert!(
            letter
                .headers
                .iter()
                .any(|(name, _)| letter.header(name).is_some_and(|text| text.contains(&hash))),
            "marked with its value's hash: {:?}",
            letter.headers
        );
    } else {
        assert_eq!(letter.value.as_deref(), Some(poison.as_bytes()));
    }
    assert_eq!(letter.key.as_deref(), Some(b"k".as_slice()));
    bridge.assert_books_balance();
}

/// Records to the allowed channels with one forbidden record after every ten.
fn with_forbidden() -> Vec<NewRecord> {
    let forbidden = r#"{"id":"forbidden","type":"t","source_type":"secret","source_id":"s"}"#;
    (0..44)
        .map(|n| {
            if n % 11 == 10 {
                NewRecord::of(forbidden).to(0)
            } else {
                numbered(0, n).1
            }
        })
        .collect()
}

#[test]
fn a_forbidden_channel_makes_dead_letters_of_its_records_alone() {
    let scenario = Scenario::new(require_kafka!(), 2);
    let config = scenario
        .config()
        .set("redis.url", scenario.rig.url_of_publisher("events:key:*"))
        .set("delivery.retry_for", "500ms");
    let mut bridge = Bridge::start(&config);
    scenario.kafka.produce(&scenario.topic, with_forbidden());
    // The other partition doesn't wait at all.
    scenario
        .kafka
        .produce(&scenario.topic, (0..50).map(|n| numbered(1, n).1));
    scenario.rig.wait_distinct(90, SOON);
    let letters = scenario.wait_dead_letters(4, SOON);
    assert_eq!(
        letters.keys().collect::<Vec<_>>(),
        ["0-10", "0-21", "0-32", "0-43"]
    );
    for letter in letters.values() {
        assert_eq!(
            letter.header("kafka_redis_bridge.reason").unwrap(),
            "channel_denied"
        );
    }
    scenario.wait_committed_to_end(SOON);
    wait::until_true("ready", SOON, || bridge.readyz() == 200);
    bridge.stop_cleanly();
    assert_eq!(
        bridge
            .last_metrics()
            .settled_for("dead_lettered", "channel_denied"),
        4
    );
    assert_eq!(scenario.rig.recorder.len(), 90, "nothing twice");
}

#[test]
fn a_refused_channel_is_named_in_one_line_however_many_records_it_refuses() {
    let scenario = Scenario::new(require_kafka!(), 2);
    let config = scenario
        .config()
        .set("redis.url", scenario.rig.url_of_publisher("events:key:*"))
        .set("delivery.retry_for", "500ms");
    let bridge = Bridge::start(&config);
    // Others succeed all the while: it isn't the user that may publish nowhere.
    let load = scenario.load(60_000, 200);
    for round in 1..=3 {
        scenario.kafka.produce(&scenario.topic, with_forbidden());
        scenario.wait_dead_letters(4 * round, SOON);
    }
    load.stop();
    let log = bridge.log();
    let named: Vec<_> = log
        .iter()
        .filter(|line| line.contains("events:secret:s"))
        .collect();
    assert_eq!(named.len(), 1, "{named:#?}");
    assert!(
        named[0].contains("Redis refuses this user the channel"),
        "{}",
        named[0]
    );
}

#[test]
fn best_effort_drops_the_records_of_a_forbidden_channel_alone() {
    let scenario = Scenario::new(require_kafka!(), 2);
    let config = scenario
        .best_effort()
        .set("redis.url", scenario.rig.url_of_publisher("events:key:*"))
        .set("delivery.retry_for", "500ms");
    let mut bridge = Bridge::start(&config);
    scenario.kafka.produce(&scenario.topic, with_forbidden());
    scenario.rig.wait_distinct(40, SOON);
    scenario.wait_committed_to_end(SOON);
    bridge.stop_cleanly();
    assert_eq!(bridge.last_metrics().settled_for("dropped", "channel_denied"), 4);
    assert!(scenario.dead_letters().is_empty());
    assert!(
        scenario
            .rig
            .recorder
            .notes()
            .iter()
            .map(Note::id)
            .all(|id| id != "forbidden")
    );
}

#[test]
fn what_is_older_than_max_age_is_skipped() {
    let scenario = Scenario::new(require_kafka!(), 1);
    let mut bridge = Bridge::start(&scenario.config().set("delivery.max_age", "1h"));
    let now = jiff::Timestamp::now().as_millisecond();
    let ages = [7_200_000, 60_000, 86_400_000, 0];
    let records = ages
        .iter()
        .enumerate()
        .map(|(n, age)| numbered(0, n as i64).1.at(now - age));
    scenario.kafka.produce(&scenario.topic, records);
    scenario.rig.recorder.wait_ids(&["0-1", "0-3"], SOON);
    scenario.wait_committed_to_end(SOON);
    bridge.stop_cleanly();
    assert_eq!(bridge.last_metrics().settled_for("skipped", "too_old"), 2);
    assert_eq!(scenario.rig.recorder.len(), 2);
}
