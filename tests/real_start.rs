//! Where a group starts, and what it must not miss.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::time::Duration;

use support::bridge::Bridge;
use support::config::Config;
use support::kafka::Kafka;
use support::load::numbered;
use support::producer::NewRecord;
use support::rig::Rig;
use support::scenario::Scenario;
use support::wait;

const SOON: Duration = Duration::from_secs(15);

/// Records `sequences` of a partition.
fn records(partition: i32, sequences: std::ops::Range<i64>) -> Vec<NewRecord> {
    sequences
        .map(|sequence| numbered(partition, sequence).1)
        .collect()
}

fn heard(scenario: &Scenario) -> Vec<String> {
    scenario.rig.recorder.barrier(&scenario.rig.redis);
    let mut ids: Vec<_> = scenario
        .rig
        .recorder
        .notes()
        .iter()
        .map(support::recorder::Note::id)
        .collect();
    ids.sort();
    ids
}

#[test]
fn a_new_group_at_latest_skips_the_history() {
    let scenario = Scenario::new(require_kafka!(), 2);
    scenario
        .kafka
        .produce(&scenario.topic, [records(0, 0..100), records(1, 0..100)].concat());
    let mut bridge = Bridge::start(&scenario.latest().at_least_once());
    scenario.kafka.produce(
        &scenario.topic,
        [records(0, 100..103), records(1, 100..103)].concat(),
    );
    scenario.rig.recorder.wait_ids(&["0-102", "1-102"], SOON);
    bridge.stop_cleanly();
    assert_eq!(
        heard(&scenario),
        ["0-100", "0-101", "0-102", "1-100", "1-101", "1-102"]
    );
}

#[test]
fn a_new_group_at_earliest_reads_all() {
    let scenario = Scenario::new(require_kafka!(), 1);
    scenario.kafka.produce(&scenario.topic, records(0, 0..5));
    let mut bridge = Bridge::start(&scenario.config());
    scenario.rig.wait_distinct(5, SOON);
    bridge.stop_cleanly();
    assert_eq!(heard(&scenario), ["0-0", "0-1", "0-2", "0-3", "0-4"]);
}

#[test]
fn a_new_group_at_a_time_starts_there() {
    let scenario = Scenario::new(require_kafka!(), 1);
    // Recent enough for retention to keep it.
    let noon = jiff::Timestamp::from_second(jiff::Timestamp::now().as_second() - 24 * 3600).unwrap();
    let hourly = (0..5).map(|n| numbered(0, n).1.at(noon.as_millisecond() + (n - 2) * 3_600_000));
    scenario.kafka.produce(&scenario.topic, hourly);
    let config = scenario
        .config()
        .set("kafka.start_from", noon.to_string().as_str());
    let mut bridge = Bridge::start(&config);
    scenario.rig.recorder.wait_ids(&["0-4"], SOON);
    bridge.stop_cleanly();
    assert_eq!(heard(&scenario), ["0-2", "0-3", "0-4"]);
}

#[test]
fn a_quiet_partition_delivers_the_record_that_came_while_all_copies_were_down() {
    let scenario = Scenario::new(require_kafka!(), 3);
    scenario.kafka.produce(&scenario.topic, records(0, 0..10));
    let config = scenario.latest().at_least_once();
    let mut bridge = Bridge::start(&config);
    bridge.stop_cleanly();
    assert_eq!(
        scenario.committed().len(),
        3,
        "the start is committed before the first read"
    );
    scenario.kafka.produce(
        &scenario.topic,
        [records(0, 10..11), records(1, 0..1), records(2, 0..1)].concat(),
    );
    let mut again = Bridge::start(&config);
    scenario.rig.recorder.wait_ids(&["0-10", "1-0", "2-0"], SOON);
    again.stop_cleanly();
    assert_eq!(heard(&scenario), ["0-10", "1-0", "2-0"]);
}

#[test]
fn a_quiet_partition_survives_a_kill_before_its_first_record() {
    let scenario = Scenario::new(require_kafka!(), 3);
    let config = scenario.latest().at_least_once().short_session();
    let mut bridge = Bridge::start(&config);
    bridge.kill();
    scenario.kafka.produce(&scenario.topic, records(1, 0..1));
    let _again = Bridge::start(&config);
    scenario.rig.recorder.wait_ids(&["1-0"], SOON);
}

#[test]
fn partitions_added_while_it_runs_are_read_from_their_beginning() {
    let scenario = Scenario::new(require_kafka!(), 2);
    let mut bridge = Bridge::start(&scenario.latest().at_least_once());
    scenario.kafka.grow_topic(&scenario.topic, 4);
    let added = (2..4).flat_map(|partition| records(partition, 0..50));
    scenario.kafka.produce(&scenario.topic, added);
    scenario.rig.wait_distinct(100, SOON);
    bridge.stop_cleanly();
    assert_eq!(scenario.committed(), [(0, 0), (1, 0), (2, 50), (3, 50)].into());
}

#[test]
fn partitions_added_while_all_copies_are_down_are_read_from_their_beginning() {
    let scenario = Scenario::new(require_kafka!(), 2);
    let config = scenario.latest().at_least_once();
    Bridge::start(&config).stop_cleanly();
    scenario.kafka.grow_topic(&scenario.topic, 3);
    scenario.kafka.produce(&scenario.topic, records(2, 0..50));
    let _again = Bridge::start(&config);
    scenario.rig.wait_distinct(50, SOON);
}

/// A bridge on a regular expression for topics that begin with `prefix`.
fn by_regex(kafka: &Kafka, rig: &Rig, prefix: &str) -> Config {
    let topics = format!("^{prefix}-.*");
    Config::new(kafka, prefix, &[&topics], &rig.proxy.url()).at_least_once()
}

#[test]
fn a_topic_that_matches_and_appears_later_is_read_from_its_beginning() {
    let (kafka, rig) = (require_kafka!(), Rig::start());
    let prefix = support::kafka::fresh("matching");
    let (old, new) = (format!("{prefix}-old"), format!("{prefix}-new"));
    kafka.create_topic(&old, 2, &[]);
    kafka.produce(&old, records(0, 0..10));
    let bridge = Bridge::start(&by_regex(&kafka, &rig, &prefix));
    wait::until_true("joined", SOON, || bridge.assigned() == 2);
    kafka.create_topic(&new, 2, &[]);
    kafka.produce(&new, records(1, 100..150));
    rig.wait_distinct(50, SOON);
    assert!(!rig.recorder.heard("0-9"), "the old topic's history is skipped");
}

#[test]
fn a_regex_that_matches_nothing_yet_and_everything_takes_no_dead_letters_and_no_internals() {
    let (kafka, rig) = (require_kafka!(), Rig::start());
    let prefix = support::kafka::fresh("matching");
    let bridge = Bridge::start(&by_regex(&kafka, &rig, &prefix));
    let topic = format!("{prefix}-a");
    kafka.create_topic(&topic, 1, &[]);
    kafka.produce(
        &topic,
        [NewRecord::of("poison")].into_iter().chain(records(0, 1..3)),
    );
    rig.wait_distinct(2, SOON);
    wait::until_true("the dead letter is there", SOON, || {
        kafka.read(&format!("{prefix}.dlq")).len() == 1
    });
    wait::holds(
        "the dead-letter topic isn't consumed",
        Duration::from_secs(3),
        || bridge.assigned() == 1 && bridge.metrics().count("records_consumed_total", &[]) == 3,
    );
}

#[test]
fn three_copies_of_a_new_group_that_join_at_once_agree() {
    let scenario = Scenario::new(require_kafka!(), 12);
    scenario
        .kafka
        .produce(&scenario.topic, (0..12).flat_map(|p| records(p, 0..20)));
    let config = scenario.latest().at_least_once();
    let mut bridges: Vec<_> = (0..3).map(|_| Bridge::spawn(&config)).collect();
    for bridge in &mut bridges {
        bridge.wait_ready(support::bridge::READY);
    }
    wait::until_true("shared", SOON, || {
        bridges.iter().map(Bridge::assigned).sum::<u64>() == 12
    });
    scenario
        .kafka
        .produce(&scenario.topic, (0..12).flat_map(|p| records(p, 20..40)));
    scenario.rig.wait_distinct(240, SOON);
    for bridge in &mut bridges {
        bridge.stop_cleanly();
    }
    let mut expected: Vec<_> = (0..12)
        .flat_map(|p| (20..40).map(move |s| format!("{p}-{s}")))
        .collect();
    expected.sort();
    assert_eq!(heard(&scenario), expected);
}

#[test]
fn a_commit_that_retention_has_overtaken_goes_on_at_the_log_start_and_is_counted() {
    let scenario = Scenario::new(require_kafka!(), 1);
    scenario.kafka.produce(&scenario.topic, records(0, 0..10));
    let config = scenario.config();
    let mut bridge = Bridge::start(&config);
    scenario.rig.wait_distinct(10, SOON);
    bridge.stop_cleanly();
    scenario.kafka.produce(&scenario.topic, records(0, 10..30));
    scenario.kafka.delete_records(&scenario.topic, &[(0, 25)]);
    let mut again = Bridge::start(&config);
    scenario.rig.wait_distinct(15, SOON);
    again.wait_metrics("the lost are counted", SOON, |m| {
        m.count("records_lost_total", &[("topic", &scenario.topic)]) == 15
    });
    again.stop_cleanly();
    assert!(scenario.rig.recorder.heard("0-25") && !scenario.rig.recorder.heard("0-24"));
}
