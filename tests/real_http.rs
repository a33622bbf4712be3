//! The HTTP endpoints and what they say.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::time::Duration;

use support::bridge::Bridge;
use support::http;
use support::load::numbered;
use support::producer::NewRecord;
use support::scenario::Scenario;
use support::schema::valid_status;
use support::wait;

const SOON: Duration = Duration::from_secs(15);

/// What the main job fills, after one good record and one dead letter.
const METRICS: [&str; 19] = [
    "records_consumed_total",
    "records_settled_total",
    "records_in_flight",
    "notifications_published_total",
    "receivers_total",
    "end_to_end_latency_seconds_count",
    "batch_size_records_count",
    "publish_duration_seconds_count",
    "redis_up",
    "redis_circuit_open",
    "kafka_brokers_up",
    "dlq_records_produced_total",
    "rebalances_total",
    "assigned_partitions",
    "commits_total",
    "committed_offset",
    "last_poll_timestamp_seconds",
    "build_info",
    "dlq_produce_failures_total",
];

#[test]
fn the_metrics_of_the_main_job_are_there_and_the_books_balance() {
    let scenario = Scenario::new(require_kafka!(), 2);
    let mut bridge = Bridge::start(&scenario.config());
    scenario
        .kafka
        .produce(&scenario.topic, [numbered(0, 0).1, NewRecord::of("poison").to(0)]);
    scenario.rig.recorder.wait_ids(&["0-0"], SOON);
    scenario.wait_dead_letters(1, SOON);
    scenario.wait_committed_to_end(SOON);
    for name in METRICS {
        bridge.wait_metrics(name, SOON, |m| m.has(name, &[]));
    }
    let scrape = bridge.metrics();
    assert_eq!(
        scrape.count("records_consumed_total", &[("topic", &scenario.topic)]),
        2
    );
    assert_eq!(scrape.count("assigned_partitions", &[]), 2);
    assert_eq!(scrape.count("notifications_published_total", &[]), 1);
    assert_eq!(scrape.count("receivers_total", &[]), 1);
    assert_eq!(scrape.count("notifications_without_receivers_total", &[]), 0);
    let version = [("version", env!("CARGO_PKG_VERSION"))];
    assert!(scrape.has("build_info", &version));
    bridge.stop_cleanly();
}

#[test]
fn a_publish_that_nobody_hears_is_counted() {
    let kafka = require_kafka!();
    let deaf = support::redis::RedisServer::start();
    let scenario = Scenario::new(kafka, 1);
    let mut bridge = Bridge::start(&scenario.config().set("redis.url", deaf.url()));
    scenario
        .kafka
        .produce(&scenario.topic, (0..10).map(|n| numbered(0, n).1));
    bridge.wait_metrics("counted", SOON, |m| {
        m.count("notifications_without_receivers_total", &[]) == 10
    });
    bridge.stop_cleanly();
}

#[test]
fn live_and_ready_tell_apart_what_they_should() {
    let scenario = Scenario::new(require_kafka!(), 1);
    let mut bridge = Bridge::start(&scenario.config());
    assert_eq!((bridge.livez(), bridge.readyz()), (200, 200));
    scenario.rig.kill_redis();
    bridge.wait_metrics("redis_up is 0", SOON, |m| m.sum("redis_up", &[]) == 0.0);
    wait::holds("a later outage clears neither", Duration::from_secs(2), || {
        (bridge.livez(), bridge.readyz()) == (200, 200)
    });
    scenario.rig.restore_redis();
    bridge.wait_metrics("redis_up is 1", SOON, |m| m.sum("redis_up", &[]) == 1.0);
    bridge.stop_cleanly();
}

#[test]
fn a_copy_without_partitions_is_ready() {
    let scenario = Scenario::new(require_kafka!(), 1);
    let first = Bridge::start(&scenario.config());
    let second = Bridge::start(&scenario.config());
    wait::until_true("one each", SOON, || first.assigned() + second.assigned() == 1);
    assert_eq!((first.readyz(), second.readyz()), (200, 200));
}

#[test]
fn status_is_json_and_the_page_is_html_and_both_keep_secrets() {
    let kafka = require_kafka!();
    let redis = support::redis::RedisServer::start_with_password("hidden-secret");
    let scenario = Scenario::with_rig(kafka, 1, support::rig::Rig::around(redis));
    let url = scenario.rig.proxy.url_as("", "hidden-secret");
    let bridge = Bridge::start(&scenario.config().set("redis.url", url));
    scenario.kafka.produce(&scenario.topic, [numbered(0, 0).1]);
    scenario.rig.recorder.wait_ids(&["0-0"], SOON);
    valid_status(&bridge);
    wait::until_true("the topic shows", SOON, || {
        bridge.get("/status").body.contains(&scenario.topic)
    });
    let page = bridge.get("/");
    assert_eq!(page.status, 200);
    let head = page.head.to_ascii_lowercase();
    assert!(head.contains("text/html"));
    assert!(
        head.contains("content-security-policy: default-src 'none'; style-src 'sha256-"),
        "{head}"
    );
    for path in ["/", "/status", "/status/schema", "/metrics", "/readyz"] {
        assert!(!bridge.get(path).body.contains("hidden-secret"), "{path}");
    }
    assert!(!bridge.log().join("\n").contains("hidden-secret"));
}

#[test]
fn unknown_paths_and_writing_methods_are_refused() {
    let scenario = Scenario::new(require_kafka!(), 1);
    let bridge = Bridge::start(&scenario.config());
    assert_eq!(bridge.get("/nothing").status, 404);
    let posted = http::request(bridge.address().unwrap(), "POST", "/metrics").unwrap();
    assert_eq!(posted.status, 405);
}
