//! Lag as the service exports it: what the brokers say, whatever keeps a partition waiting.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use kafka_redis_bridge::observe::metrics::now_ms;
use support::bridge::Bridge;
use support::groups::describe;
use support::metrics::Scrape;
use support::producer::NewRecord;
use support::proxy::Mode;
use support::scenario::Scenario;
use support::transactions::{Open, abort, commit};
use support::wait;

const PATIENCE: Duration = Duration::from_secs(20);
/// Two refreshes and a share.
const REFRESHED: Duration = Duration::from_secs(6);

fn events(count: usize) -> Vec<NewRecord> {
    let value = |n| format!(r#"{{"id":"{n}","type":"push","source_type":"user","source_id":"{n}"}}"#);
    (0..count).map(|n| NewRecord::of(value(n)).to(0)).collect()
}

/// The value for a partition, where there is one.
fn gauge(scrape: &Scrape, name: &str, partition: i32) -> Option<f64> {
    let partition = partition.to_string();
    let labels = [("partition", partition.as_str())];
    scrape.has(name, &labels).then(|| scrape.sum(name, &labels))
}

fn records(scrape: &Scrape) -> Option<f64> {
    gauge(scrape, "consumer_lag_records", 0)
}

fn seconds(scrape: &Scrape) -> Option<f64> {
    gauge(scrape, "consumer_lag_seconds", 0)
}

/// Waits until the lag of partition 0 is that many records.
#[track_caller]
fn wait_records(bridge: &Bridge, expected: f64) -> Scrape {
    bridge.wait_metrics(&format!("a lag of {expected}"), PATIENCE, |scrape| {
        records(scrape) == Some(expected)
    })
}

/// Waits until nothing lags behind this end, in records and in seconds, and checks that it stays so.
#[track_caller]
fn wait_no_lag(bridge: &Bridge, end: i64) {
    let is_none = |scrape: &Scrape| {
        gauge(scrape, "end_offset", 0) == Some(end as f64)
            && records(scrape) == Some(0.0)
            && seconds(scrape) == Some(0.0)
    };
    bridge.wait_metrics("no lag", PATIENCE, is_none);
    wait::holds("no lag", Duration::from_secs(3), || is_none(&bridge.metrics()));
}

#[test]
fn with_redis_down_lag_grows_in_records_and_seconds_as_kafkas_own_tool_counts_it() {
    let kafka = require_kafka!();
    let scenario = Scenario::new(kafka, 1);
    let mut bridge = Bridge::start(&scenario.config().set("batch.max_records", 8));
    scenario.kafka.produce(&scenario.topic, events(5));
    wait_no_lag(&bridge, 5);

    scenario.rig.proxy.set(Mode::Refuse);
    scenario.rig.proxy.cut();
    let begun = now_ms();
    scenario.kafka.produce(&scenario.topic, events(10));
    wait_records(&bridge, 10.0);
    // More than the batches hold: what was not even read counts as well, though the partition is paused by now.
    bridge.wait_metrics("paused", PATIENCE, |scrape| {
        scrape.sum("paused_partitions", &[("reason", "backpressure")]) > 0.0 || records(scrape) == Some(10.0)
    });
    scenario.kafka.produce(&scenario.topic, events(90));
    let scrape = wait_records(&bridge, 100.0);
    assert_eq!(gauge(&scrape, "end_offset", 0), Some(105.0));
    let old = bridge.wait_metrics("seconds grow", PATIENCE, |scrape| seconds(scrape) > Some(4.0));
    let at_most = (now_ms() - begun) as f64 / 1000.0 + 1.0;
    assert!(
        seconds(&old).unwrap() < at_most,
        "{:?} of {at_most}",
        seconds(&old)
    );
    assert_eq!(describe(&scenario.kafka, &scenario.group)[&0].lag, 100);
    let status = bridge.status();
    let partition = &status["partitions"][0];
    assert_eq!(
        (&partition["lag_records"], &partition["end"]),
        (&100.into(), &105.into())
    );
    assert!(partition["lag_seconds"].as_f64().unwrap() > 4.0, "{status}");

    scenario.rig.proxy.set(Mode::Pass);
    wait_no_lag(&bridge, 105);
    assert_eq!(describe(&scenario.kafka, &scenario.group)[&0].lag, 0);
    bridge.stop_cleanly();
}

#[test]
fn in_best_effort_lag_stays_flat_without_redis() {
    let kafka = require_kafka!();
    let scenario = Scenario::new(kafka, 1);
    let mut bridge = Bridge::start(&scenario.best_effort().set("delivery.retry_for", "100ms"));
    scenario.kafka.produce(&scenario.topic, events(1));
    wait_no_lag(&bridge, 1);
    scenario.rig.proxy.set(Mode::Refuse);
    scenario.rig.proxy.cut();
    scenario.kafka.produce(&scenario.topic, events(500));
    wait_no_lag(&bridge, 501);
    bridge.stop_cleanly();
}

#[test]
fn a_topic_that_ends_in_transaction_markers_is_committed_to_its_end() {
    let kafka = require_kafka!();
    let scenario = Scenario::new(kafka, 1);
    let mut bridge = Bridge::start(&scenario.config());
    for end in [commit, abort, abort, commit, abort] {
        end(&scenario.kafka, &scenario.topic, events(3));
    }
    let end = 20;
    wait::until_true("five times three records and a marker", PATIENCE, || {
        scenario.kafka.ends(&scenario.topic)[&0] == end
    });
    wait_no_lag(&bridge, end);
    assert_eq!(scenario.committed()[&0], end);
    assert_eq!(describe(&scenario.kafka, &scenario.group)[&0].lag, 0);
    assert_eq!(bridge.metrics().settled("published"), 6);
    assert_eq!(bridge.metrics().count("records_lost_total", &[]), 0);

    // Nothing is passed over afterwards.
    commit(&scenario.kafka, &scenario.topic, events(2));
    wait_no_lag(&bridge, end + 3);
    assert_eq!(bridge.metrics().settled("published"), 8);
    bridge.stop_cleanly();
}

#[test]
fn what_an_open_transaction_holds_back_is_no_lag_and_is_not_passed_over() {
    let kafka = require_kafka!();
    let scenario = Scenario::new(kafka, 1);
    let mut bridge = Bridge::start(&scenario.config());
    scenario.kafka.produce(&scenario.topic, events(4));
    let open = Open::begin(&scenario.kafka, &scenario.topic, events(3));
    scenario.kafka.produce(&scenario.topic, events(5));
    wait_no_lag(&bridge, 4);
    open.commit();
    wait_no_lag(&bridge, 13);
    assert_eq!(bridge.metrics().settled("published"), 12);
    bridge.stop_cleanly();
}

#[test]
fn a_partition_that_is_revoked_is_not_exported_any_more() {
    let kafka = require_kafka!();
    let scenario = Scenario::new(kafka, 4);
    let config = scenario.config();
    let mut first = Bridge::start(&config);
    let exported = |bridge: &Bridge, name| -> Vec<i32> {
        let scrape = bridge.metrics();
        (0..4).filter(|n| gauge(&scrape, name, *n).is_some()).collect()
    };
    const NAMES: [&str; 4] = [
        "consumer_lag_records",
        "consumer_lag_seconds",
        "end_offset",
        "committed_offset",
    ];
    wait::until_true("all four", PATIENCE, || {
        NAMES.iter().all(|name| exported(&first, name).len() == 4)
    });
    let mut second = Bridge::start(&config);
    wait::until_true("each partition at one copy", PATIENCE, || {
        NAMES.iter().all(|name| {
            let mut all = [exported(&first, name), exported(&second, name)].concat();
            let shared = all.len() == 4 && exported(&first, name).len() == 2;
            all.sort_unstable();
            all.dedup();
            shared && all.len() == 4
        })
    });
    // A refresh that was on its way brings nothing back.
    wait::holds("gone", REFRESHED, || {
        NAMES.iter().all(|name| exported(&first, name).len() == 2)
    });
    second.stop_cleanly();
    first.stop_cleanly();
}

#[test]
fn a_paused_partition_is_refreshed() {
    let kafka = require_kafka!();
    let scenario = Scenario::new(kafka, 1);
    let config = scenario
        .config()
        .set("dlq.guard.burst", 2)
        .set("dlq.guard.rate", 0.01);
    let mut bridge = Bridge::start(&config);
    let poison = || (0..20).map(|_| NewRecord::of("no JSON").to(0));
    scenario.kafka.produce(&scenario.topic, poison());
    bridge.wait_metrics("the guard", PATIENCE, |scrape| {
        scrape.sum("paused_partitions", &[("reason", "guard")]) == 1.0
    });
    wait_records(&bridge, 18.0);
    scenario.kafka.produce(&scenario.topic, poison());
    let scrape = wait_records(&bridge, 38.0);
    assert_eq!(gauge(&scrape, "end_offset", 0), Some(40.0));
    bridge.wait_metrics("seconds", PATIENCE, |scrape| seconds(scrape) > Some(3.0));
    bridge.terminate(PATIENCE);
}

#[test]
fn what_retention_takes_from_a_waiting_partition_is_lost_once_and_no_lag() {
    let kafka = require_kafka!();
    let scenario = Scenario::new(kafka, 1);
    let mut bridge = Bridge::start(&scenario.config().set("batch.max_records", 5));
    scenario.rig.proxy.set(Mode::Refuse);
    scenario.rig.proxy.cut();
    scenario.kafka.produce(&scenario.topic, events(100));
    wait_records(&bridge, 100.0);
    bridge.wait_metrics("paused", PATIENCE, |scrape| {
        scrape.sum("paused_partitions", &[("reason", "backpressure")]) == 1.0
    });
    let taken = bridge.metrics().count("records_in_flight", &[]);
    scenario.kafka.delete_records(&scenario.topic, &[(0, 80)]);
    wait_records(&bridge, 20.0);
    let lost = |scrape: &Scrape| scrape.count("records_lost_total", &[("cause", "retention")]);
    bridge.wait_metrics("counted", PATIENCE, |scrape| lost(scrape) == 80 - taken);
    scenario.rig.proxy.set(Mode::Pass);
    wait_no_lag(&bridge, 100);
    let scrape = bridge.metrics();
    assert_eq!(
        (lost(&scrape), scrape.settled("published")),
        (80 - taken, 20 + taken)
    );
    bridge.stop_cleanly();
}

#[test]
fn after_a_rewind_of_the_group_lag_counts_from_there() {
    let kafka = require_kafka!();
    let scenario = Scenario::new(kafka, 1);
    scenario.kafka.produce(&scenario.topic, events(50));
    let mut bridge = Bridge::start(&scenario.config());
    wait_no_lag(&bridge, 50);
    bridge.stop_cleanly();
    support::groups::rewind(&scenario.kafka, &scenario.group, &scenario.topic, 10);
    scenario.rig.proxy.set(Mode::Refuse);
    let bridge = Bridge::spawn(&scenario.config());
    let address = || bridge.address().map(|_| ());
    wait::until("it listens", PATIENCE, address);
    wait_records(&bridge, 40.0);
    bridge.wait_metrics("seconds", PATIENCE, |scrape| seconds(scrape) > Some(1.0));
}

#[test]
fn two_hundred_partitions_are_refreshed_together() {
    let kafka = require_kafka!();
    let scenario = Scenario::new(kafka, 200);
    let mut bridge = Bridge::start(&scenario.config());
    let known = |scrape: &Scrape| (0..200).filter_map(|n| gauge(scrape, "end_offset", n)).count() == 200;
    bridge.wait_metrics("all ends", PATIENCE, known);
    let to = |n: i32| events(1).remove(0).to(n);
    commit(&scenario.kafka, &scenario.topic, (0..200).map(to).collect());
    // Each ends in a marker now.
    bridge.wait_metrics("no lag anywhere", PATIENCE, |scrape| {
        scrape.sum("end_offset", &[]) == 400.0 && scrape.sum("consumer_lag_records", &[]) == 0.0
    });
    let expected: BTreeMap<i32, i64> = (0..200).map(|n| (n, 2)).collect();
    assert_eq!(scenario.committed(), expected);
    bridge.stop_cleanly();
}
