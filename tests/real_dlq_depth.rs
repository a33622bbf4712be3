//! Depth of the dead-letter queue: right after whatever happens to it, and the same on every copy.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use support::bridge::Bridge;
use support::metrics::Scrape;
use support::private_broker::PrivateBroker;
use support::producer::NewRecord;
use support::scenario::Scenario;

const SOON: Duration = Duration::from_secs(30);

fn poison(partition: i32, count: usize) -> impl Iterator<Item = NewRecord> {
    (0..count).map(move |_| NewRecord::of("poison").to(partition))
}

fn depth(scrape: &Scrape) -> Option<u64> {
    let name = "dlq_depth_records";
    scrape.has(name, &[]).then(|| scrape.count(name, &[]))
}

#[track_caller]
fn wait_depth(bridge: &Bridge, wanted: u64) -> Scrape {
    bridge.wait_metrics(&format!("a depth of {wanted}"), SOON, |scrape| {
        depth(scrape) == Some(wanted)
    })
}

fn age(scrape: &Scrape) -> f64 {
    scrape.sum("dlq_oldest_age_seconds", &[])
}

/// Commits as `dlq replay` would.
fn resolve(scenario: &Scenario, partition: i32, committed: i64, note: &str) {
    let consumer: BaseConsumer = scenario
        .kafka
        .client()
        .set("group.id", format!("{}.dlq-replay", scenario.group))
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    let dlq = scenario.dlq();
    let mut element = list.add_partition(&dlq, partition);
    element.set_offset(Offset::Offset(committed)).unwrap();
    element.set_metadata(note);
    consumer.commit(&list, CommitMode::Sync).unwrap();
}

/// A queue of one partition whose letters were written so many hours ago.
fn queue_of(scenario: &Scenario, hours_ago: &[i64]) {
    scenario.kafka.create_topic(&scenario.dlq(), 1, &[]);
    let now = jiff::Timestamp::now().as_millisecond();
    let letter = |hours: &i64| NewRecord::of("letter").to(0).at(now - hours * 3_600_000);
    scenario
        .kafka
        .produce(&scenario.dlq(), hours_ago.iter().map(letter));
}

#[test]
fn three_copies_show_the_same_depth_and_so_does_a_restarted_one() {
    let scenario = Scenario::new(require_kafka!(), 3);
    let config = scenario.config().short_session();
    let mut copies: Vec<Bridge> = (0..3).map(|_| Bridge::start(&config)).collect();
    for copy in &copies {
        assert_eq!(age(&wait_depth(copy, 0)).to_string(), "0");
    }
    let letters = (0..3).flat_map(|partition| poison(partition, 20));
    scenario.kafka.produce(&scenario.topic, letters);
    scenario.wait_dead_letters(60, SOON);
    for copy in &copies {
        wait_depth(copy, 60);
        assert_eq!(copy.status()["dlq"]["depth"], 60);
        assert!(copy.status()["dlq"]["oldest_age_seconds"].as_f64().unwrap() > 0.0);
    }
    copies[0].kill();
    copies[1].stop_cleanly();
    wait_depth(&Bridge::start(&config), 60);
    wait_depth(&copies[2], 60);
}

#[test]
fn a_queue_that_is_not_there_has_no_depth_and_one_made_anew_counts_again() {
    let scenario = Scenario::new(require_kafka!(), 1);
    let bridge = Bridge::start(&scenario.config());
    scenario.kafka.produce(&scenario.topic, poison(0, 5));
    wait_depth(&bridge, 5);
    scenario.kafka.delete_topic(&scenario.dlq());
    assert_eq!(age(&wait_depth(&bridge, 0)).to_string(), "0");
    scenario.kafka.create_topic(&scenario.dlq(), 1, &[]);
    scenario.kafka.produce(&scenario.topic, poison(0, 2));
    wait_depth(&bridge, 2);
}

#[test]
fn what_a_purge_or_retention_has_deleted_counts_no_more() {
    let scenario = Scenario::new(require_kafka!(), 1);
    queue_of(&scenario, &[5, 4, 3, 2, 1]);
    let bridge = Bridge::start(&scenario.config());
    let before = age(&wait_depth(&bridge, 5));
    assert!((before - 5.0 * 3600.0).abs() < 120.0, "{before}");
    scenario.kafka.delete_records(&scenario.dlq(), &[(0, 2)]);
    let after = age(&wait_depth(&bridge, 3));
    assert!((after - 3.0 * 3600.0).abs() < 120.0, "{after}");
    scenario.kafka.delete_records(&scenario.dlq(), &[(0, 5)]);
    assert_eq!(age(&wait_depth(&bridge, 0)).to_string(), "0");
}

#[test]
fn what_replay_has_resolved_counts_no_more_also_out_of_order() {
    let scenario = Scenario::new(require_kafka!(), 1);
    queue_of(&scenario, &[8, 7, 6, 5, 4, 3, 2, 1]);
    let bridge = Bridge::start(&scenario.config());
    wait_depth(&bridge, 8);
    // 0 is resolved, 1 is open, 2 to 4 are resolved, 5 to 7 are open.
    resolve(&scenario, 0, 1, "krd1 1+3");
    let scrape = wait_depth(&bridge, 4);
    assert!((age(&scrape) - 7.0 * 3600.0).abs() < 120.0, "{}", age(&scrape));
    resolve(&scenario, 0, 5, "");
    let scrape = wait_depth(&bridge, 3);
    assert!((age(&scrape) - 3.0 * 3600.0).abs() < 120.0, "{}", age(&scrape));
    scenario.kafka.delete_records(&scenario.dlq(), &[(0, 7)]);
    wait_depth(&bridge, 1);
    resolve(&scenario, 0, 8, "");
    wait_depth(&bridge, 0);
}

#[test]
fn an_outage_of_kafka_leaves_the_last_depth_and_is_told_by_no_extra_line() {
    let _kafka = require_kafka!();
    let Some(broker) = PrivateBroker::start("depth through an outage") else {
        return;
    };
    let scenario = Scenario::new(broker.kafka(), 1);
    let mut bridge = Bridge::start(&scenario.config());
    scenario.kafka.produce(&scenario.topic, poison(0, 3));
    wait_depth(&bridge, 3);
    broker.control("kill");
    support::wait::holds("the last depth stays", Duration::from_secs(12), || {
        depth(&bridge.metrics()) == Some(3) && bridge.livez() == 200
    });
    broker.control("restart");
    scenario.kafka.produce(&scenario.topic, poison(0, 2));
    wait_depth(&bridge, 5);
    bridge.stop_cleanly();
    assert!(
        !bridge
            .log()
            .iter()
            .any(|line| line.contains("dead-letter queue is unknown"))
    );
}

#[test]
fn without_the_permission_it_needs_everything_else_works_and_the_log_says_what_to_grant() {
    let _kafka = require_kafka!();
    let Some(broker) = PrivateBroker::start_with_sasl("depth without permission") else {
        return;
    };
    let scenario = Scenario::new(broker.kafka(), 1);
    let dlq = scenario.dlq();
    scenario.kafka.create_topic(&dlq, 1, &[]);
    broker.allow(&["--operation", "Read", "--topic", &scenario.topic]);
    broker.allow(&["--operation", "Read", "--group", &scenario.group]);
    broker.allow(&["--operation", "Write", "--topic", &dlq]);
    let mut bridge = Bridge::start(&scenario.config_as(&broker.kafka_as("bridge")));
    scenario.kafka.produce(&scenario.topic, poison(0, 2));
    scenario.wait_dead_letters(2, SOON);
    let replay_group = format!("{}.dlq-replay", scenario.group);
    bridge.wait_log(&["WARN", &replay_group, "grant this user Describe"], SOON);
    assert_eq!(depth(&bridge.metrics()), None, "no depth rather than a wrong one");
    broker.allow(&["--operation", "Describe", "--group", &replay_group]);
    let scrape = wait_depth(&bridge, 2);
    assert!(
        !scrape.has("dlq_oldest_age_seconds", &[]),
        "it may not be read yet"
    );
    bridge.wait_log(&["WARN", &dlq, "grant this user Read"], SOON);
    broker.allow(&["--operation", "Read", "--topic", &dlq]);
    bridge.wait_metrics("the age", SOON, |scrape| age(scrape) > 0.0);
    bridge.stop_cleanly();
}
