//! Dead letters: what they carry, and what happens while they can't be written.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::time::{Duration, Instant};

use support::bridge::Bridge;
use support::cli::run_cli;
use support::load::numbered;
use support::private_broker::PrivateBroker;
use support::producer::{HeaderList, NewRecord};
use support::scenario::Scenario;
use support::wait;

const SOON: Duration = Duration::from_secs(20);

/// The headers that the bridge adds, in the contract's order.
const ADDED: [&str; 10] = [
    "__dlq.errors.topic",
    "__dlq.errors.partition",
    "__dlq.errors.offset",
    "__dlq.errors.group",
    "__dlq.errors.message",
    "kafka_redis_bridge.reason",
    "kafka_redis_bridge.failed_at",
    "kafka_redis_bridge.original_timestamp",
    "kafka_redis_bridge.version",
    "kafka_redis_bridge.replay_count",
];

fn owned(headers: &[(&str, Option<&[u8]>)]) -> HeaderList {
    headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.map(<[u8]>::to_vec)))
        .collect()
}

#[test]
fn a_dead_letter_is_the_original_record_and_says_where_it_came_from() {
    let scenario = Scenario::new(require_kafka!(), 3);
    let _bridge = Bridge::start(&scenario.config());
    let originals: [(&str, Option<&[u8]>); 4] = [
        ("a", Some(b"1")),
        ("null", None),
        ("a", Some(b"2")),
        ("bin", Some(&[0xff, 0x00])),
    ];
    let fold = |record: NewRecord| {
        originals
            .iter()
            .fold(record, |r, (name, value)| r.header(name, *value))
    };
    let poison = fold(
        NewRecord::of([0xfe, 0x00])
            .key([0x00, 0xff])
            .to(2)
            .at(1_700_000_000_123),
    );
    scenario
        .kafka
        .produce(&scenario.topic, [numbered(2, 0).1, poison]);
    let letter = scenario.wait_dead_letters(1, SOON).remove("2-1").unwrap();

    assert_eq!(letter.key.as_deref(), Some([0x00, 0xff].as_slice()));
    assert_eq!(letter.value.as_deref(), Some([0xfe, 0x00].as_slice()));
    let (kept, added) = letter.headers.split_at(originals.len());
    assert_eq!(kept, owned(&originals));
    assert_eq!(
        added.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
        ADDED
    );
    let header = |name| letter.header(name).unwrap();
    assert_eq!(header("__dlq.errors.topic"), scenario.topic);
    assert_eq!(header("__dlq.errors.partition"), "2");
    assert_eq!(header("__dlq.errors.offset"), "1");
    assert_eq!(header("__dlq.errors.group"), scenario.group);
    assert!(!header("__dlq.errors.message").is_empty());
    assert_eq!(header("kafka_redis_bridge.reason"), "invalid_json");
    assert_eq!(header("kafka_redis_bridge.replay_count"), "0");
    assert!(header("kafka_redis_bridge.version").contains(env!("CARGO_PKG_VERSION")));
    assert_eq!(
        milliseconds(&header("kafka_redis_bridge.original_timestamp")),
        1_700_000_000_123
    );
    let failed_at = milliseconds(&header("kafka_redis_bridge.failed_at"));
    assert!((jiff::Timestamp::now().as_millisecond() - failed_at).abs() < 60_000);
}

/// A time as text: milliseconds since the epoch or RFC 3339.
fn milliseconds(text: &str) -> i64 {
    text.parse()
        .unwrap_or_else(|_| text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
}

#[test]
fn null_stays_null_and_earlier_headers_of_ours_are_replaced() {
    let scenario = Scenario::new(require_kafka!(), 1);
    let _bridge = Bridge::start(&scenario.config());
    let again = NewRecord::of("poison")
        .header("mine", Some(b"x"))
        .header("__dlq.errors.topic", Some(b"first-topic"))
        .header("__dlq.errors.partition", Some(b"7"))
        .header("__dlq.errors.offset", Some(b"77"))
        .header("kafka_redis_bridge.reason", Some(b"old"))
        .header("kafka_redis_bridge.replay_count", Some(b"2"));
    scenario.kafka.produce(&scenario.topic, [again]);
    let letter = scenario
        .wait_dead_letters(1, SOON)
        .remove("7-77")
        .expect("the first failure's coordinates");
    assert_eq!(letter.key, None);
    assert_eq!(letter.header("__dlq.errors.topic").unwrap(), "first-topic");
    assert_eq!(
        letter.header("kafka_redis_bridge.reason").unwrap(),
        "invalid_json"
    );
    for name in ADDED {
        assert_eq!(
            letter.headers.iter().filter(|(have, _)| have == name).count(),
            1,
            "{name}"
        );
    }
    assert_eq!(letter.headers[0].0, "mine");
}

#[test]
fn the_topic_is_created_when_missing_with_its_settings() {
    let scenario = Scenario::new(require_kafka!(), 1);
    let config = scenario
        .config()
        .set("dlq.partitions", 3)
        .set("dlq.retention", "2d");
    let _bridge = Bridge::start(&config);
    assert_eq!(scenario.kafka.partitions(&scenario.dlq()), 3);
    let settings = scenario.kafka.topic_settings(&scenario.dlq());
    assert_eq!(settings["cleanup.policy"], "delete");
    assert_eq!(settings["retention.ms"], "172800000");
}

#[test]
fn letters_of_one_partition_go_to_one_partition() {
    let scenario = Scenario::new(require_kafka!(), 4);
    let _bridge = Bridge::start(&scenario.config());
    let poison = (0..80).map(|n| NewRecord::of("poison").key(format!("k{n}")).to(n % 4));
    scenario.kafka.produce(&scenario.topic, poison);
    let letters = scenario.wait_dead_letters(80, SOON);
    for partition in 0..4 {
        let prefix = format!("{partition}-");
        let targets: std::collections::BTreeSet<i32> = letters
            .iter()
            .filter(|(id, _)| id.starts_with(&prefix))
            .map(|(_, l)| l.partition)
            .collect();
        assert_eq!(targets.len(), 1, "partition {partition} went to {targets:?}");
    }
}

#[test]
fn without_its_topic_only_the_partition_with_the_dead_letter_waits() {
    let scenario = Scenario::new(require_kafka!(), 2);
    let mut bridge = Bridge::start(&scenario.config());
    scenario.kafka.delete_topic(&scenario.dlq());
    scenario.kafka.produce(
        &scenario.topic,
        [numbered(0, 0).1, NewRecord::of("poison").to(0), numbered(0, 2).1],
    );
    scenario.rig.recorder.wait_ids(&["0-0"], SOON);
    for round in 0..5 {
        scenario
            .kafka
            .produce(&scenario.topic, (0..100).map(|n| numbered(1, round * 100 + n).1));
        scenario
            .rig
            .recorder
            .wait_ids(&[&format!("1-{}", round * 100 + 99)], SOON);
    }
    wait::until_true("the others are committed", SOON, || {
        scenario.committed().get(&1) == Some(&500)
    });
    wait::holds("the poison isn't passed", Duration::from_secs(3), || {
        scenario.committed().get(&0).copied().unwrap_or(0) <= 1
    });
    assert!(bridge.metrics().count("dlq_produce_failures_total", &[]) > 0);
    assert_eq!(bridge.livez(), 200);

    scenario.kafka.create_topic(&scenario.dlq(), 2, &[]);
    scenario.rig.recorder.wait_ids(&["0-2"], Duration::from_secs(30));
    let letters = scenario.wait_dead_letters(1, SOON);
    assert!(letters.contains_key("0-1"));
    scenario.wait_committed_to_end(SOON);
    bridge.stop_cleanly();
    assert_eq!(scenario.rig.recorder.len(), 502, "nothing twice");
}

/// A broker that lets the user `bridge` read the scenario's topic in its group, and nothing else; nothing where none can be
/// had.
fn with_rights_to_read(test: &str, partitions: i32) -> Option<(PrivateBroker, Scenario)> {
    let broker = PrivateBroker::start_with_sasl(test)?;
    let scenario = Scenario::new(broker.kafka(), partitions);
    broker.allow(&["--operation", "Read", "--topic", &scenario.topic]);
    broker.allow(&["--operation", "Read", "--group", &scenario.group]);
    Some((broker, scenario))
}

#[test]
fn when_the_topic_may_not_be_written_only_that_partition_waits_until_it_may() {
    let _kafka = require_kafka!();
    let Some((broker, scenario)) = with_rights_to_read("unauthorised", 2) else {
        return;
    };
    scenario.kafka.create_topic(&scenario.dlq(), 2, &[]);
    let dlq = scenario.dlq();
    let write = [
        "--topic",
        &dlq,
        "--operation",
        "Write",
        "--operation",
        "Describe",
        "--operation",
        "Read",
    ];
    broker.allow(&write);
    broker.allow(&["--cluster", "--operation", "IdempotentWrite"]);
    let config = scenario.config_as(&broker.kafka_as("bridge"));
    let mut bridge = Bridge::start(&config.at_least_once());
    broker.let_write(&dlq, false);

    scenario
        .kafka
        .produce(&scenario.topic, [NewRecord::of("poison").to(0)]);
    bridge.wait_metrics("it is counted", SOON, |m| {
        m.count("dlq_produce_failures_total", &[]) > 0
    });
    // What comes behind it now has to wait, what comes elsewhere doesn't.
    scenario.kafka.produce(&scenario.topic, [numbered(0, 1).1]);
    scenario
        .kafka
        .produce(&scenario.topic, (0..100).map(|n| numbered(1, n).1));
    scenario.rig.recorder.wait_ids(&["1-99"], SOON);
    assert!(!scenario.rig.recorder.heard("0-1"));
    broker.allow(&write);
    scenario.rig.recorder.wait_ids(&["0-1"], Duration::from_secs(30));
    assert!(scenario.wait_dead_letters(1, SOON).contains_key("0-0"));
    bridge.stop_cleanly();
    let said = bridge.log().join("\n");
    assert!(!said.contains("bridge-secret"), "a secret was shown");
}

#[test]
fn refused_at_the_start_it_ends_with_what_to_create() {
    let _kafka = require_kafka!();
    let Some((broker, scenario)) = with_rights_to_read("refused at the start", 1) else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bridge.toml");
    scenario.config_as(&broker.kafka_as("bridge")).write(&file);
    let outcome = run_cli(
        &["run", "--config", &file.to_string_lossy()],
        Duration::from_secs(45),
    );
    assert_eq!(outcome.code, 78, "{}", outcome.stderr);
    assert!(outcome.stderr.contains(&scenario.dlq()), "{}", outcome.stderr);
    assert!(!outcome.stderr.contains("bridge-secret"));
}

#[test]
fn the_guard_holds_a_partition_of_pure_poison_and_no_other() {
    let scenario = Scenario::new(require_kafka!(), 2);
    let config = scenario
        .config()
        .set("dlq.guard.burst", 10)
        .set("dlq.guard.rate", 2);
    let bridge = Bridge::start(&config);
    let started = Instant::now();
    let poison = (0..300).map(|_| NewRecord::of("poison").to(0));
    scenario.kafka.produce(&scenario.topic, poison);
    bridge.wait_metrics("paused", SOON, |m| m.sum("paused_partitions", &[]) >= 1.0);
    scenario
        .kafka
        .produce(&scenario.topic, (0..500).map(|n| numbered(1, n).1));
    scenario.rig.wait_distinct(500, SOON);
    wait::holds("burst plus rate", Duration::from_secs(5), || {
        let admitted: i64 = scenario.kafka.ends(&scenario.dlq()).values().sum();
        // Two more: one for the rounding of the time, one for what is on its way.
        admitted <= 10 + 2 * i64::try_from(started.elapsed().as_secs()).unwrap() + 2
    });
    let admitted: i64 = scenario.kafka.ends(&scenario.dlq()).values().sum();
    assert!(admitted > 10, "it goes on slowly: {admitted}");
}
