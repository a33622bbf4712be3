//! Redis is there, but frozen, silent, a replica, out of memory, or asks for another password.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::time::Duration;

use support::bridge::Bridge;
use support::kafka::Kafka;
use support::load::{Load, numbered};
use support::metrics::Scrape;
use support::proxy::Mode;
use support::redis::RedisServer;
use support::rig::Rig;
use support::scenario::Scenario;
use support::wait;

const PARTITIONS: i32 = 6;
const SOON: Duration = Duration::from_secs(10);
const MINUTE: Duration = Duration::from_secs(60);
const BATCH: i64 = 100;
/// Several attempts to connect.
const PAUSE: Duration = Duration::from_secs(6);
const UNANSWERED: usize = 10 * BATCH as usize;

/// A bridge under load, `at_least_once`, with small batches.
fn under_load(kafka: Kafka, rig: Rig) -> (Scenario, Bridge, Load) {
    let scenario = Scenario::with_rig(kafka, PARTITIONS, rig);
    let bridge = Bridge::start(&scenario.config().set("batch.max_records", BATCH));
    let load = scenario.load(60_000, 1_500);
    scenario.rig.wait_distinct(1_500, MINUTE);
    (scenario, bridge, load)
}

/// Notifications arrive again within ten seconds.
#[track_caller]
fn wait_recovered(scenario: &Scenario) {
    let before = scenario.rig.recorder.distinct();
    scenario.rig.wait_distinct(before + 500, SOON);
}

/// All are heard, none was given up, and no more came twice than was unanswered in `faults` faults.
#[track_caller]
fn finish(scenario: &Scenario, mut bridge: Bridge, load: Load, faults: usize) {
    let run = scenario.gather(load.stop(), MINUTE);
    scenario.wait_committed_to_end(SOON);
    bridge.stop_cleanly();
    scenario.assert_nothing_given_up(&bridge);
    run.judge().assert_nothing_lost(faults * UNANSWERED);
}

fn errors(bridge: &Bridge) -> u64 {
    bridge.metrics().count("redis_errors_total", &[])
}

#[test]
fn a_frozen_redis_is_left_and_found_again() {
    let (scenario, bridge, load) = under_load(require_kafka!(), Rig::start());
    scenario.rig.redis.stop();
    bridge.wait_metrics("redis_up is 0", SOON, |m| {
        m.has("redis_up", &[]) && m.sum("redis_up", &[]) == 0.0
    });
    wait::holds("stays in the group", Duration::from_secs(2), || {
        bridge.assigned() == PARTITIONS as u64
    });
    scenario.rig.redis.cont();
    wait_recovered(&scenario);
    finish(&scenario, bridge, load, 1);
}

#[test]
fn a_connection_swallowed_without_a_reset_is_given_up_within_ten_seconds() {
    let (scenario, bridge, load) = under_load(require_kafka!(), Rig::start());
    scenario.rig.proxy.set(Mode::Swallow);
    // Only the connections that exist are dead: what connects anew gets through.
    bridge.wait_metrics("something is unanswered", SOON, |m| {
        m.sum("records_in_flight", &[]) > 0.0
    });
    scenario.rig.proxy.set(Mode::Pass);
    wait_recovered(&scenario);
    assert!(errors(&bridge) > 0, "the fault was counted");
    finish(&scenario, bridge, load, 1);
}

/// A server that lets clients connect and say HELLO, and answers no publish for a while.
fn let_in_and_pause_publishes(scenario: &Scenario, pause: Duration) {
    let milliseconds = pause.as_millis().to_string();
    scenario
        .rig
        .redis
        .command(&["CLIENT", "PAUSE", &milliseconds, "WRITE"]);
}

#[test]
fn a_redis_that_answers_hello_but_no_publish_is_down_until_it_publishes() {
    let (scenario, bridge, load) = under_load(require_kafka!(), Rig::start());
    let_in_and_pause_publishes(&scenario, PAUSE);
    bridge.wait_metrics("redis_up is 0", SOON, |m| m.sum("redis_up", &[]) == 0.0);
    let connected = scenario.rig.proxy.accepted();
    wait::holds("redis_up stays 0", PAUSE / 2, || {
        bridge.metrics().sum("redis_up", &[]) == 0.0
    });
    assert!(
        scenario.rig.proxy.accepted() > connected,
        "it was let in meanwhile"
    );
    wait_recovered(&scenario);
    bridge.wait_metrics("redis_up is 1", SOON, |m| m.sum("redis_up", &[]) == 1.0);
    let told = |what: &str| bridge.log().iter().filter(|line| line.contains(what)).count();
    assert_eq!(told("Redis is well again"), 1);
    finish(&scenario, bridge, load, 4);
}

#[test]
fn best_effort_keeps_lag_flat_while_a_redis_answers_hello_but_no_publish() {
    let scenario = Scenario::new(require_kafka!(), PARTITIONS);
    let config = scenario.best_effort().set("batch.max_records", BATCH);
    let mut bridge = Bridge::start(&config);
    let load = scenario.load(60_000, 1_500);
    scenario.rig.wait_distinct(1_500, MINUTE);
    let_in_and_pause_publishes(&scenario, PAUSE);
    bridge.wait_metrics("records drop", SOON, |m| m.settled("dropped") > 0);
    // What four seconds bring, less than the pause does: `delivery.retry_for` until a batch is given up, as much again for
    // the one that tries Redis next, a commit each second, and a look at Kafka.
    wait::holds("lag stays flat", PAUSE * 3 / 4, || {
        scenario.uncommitted() < 4 * 1_500
    });
    wait_recovered(&scenario);
    let produced = load.stop();
    scenario.wait_committed_to_end(MINUTE);
    let mut run = scenario.gather_now(produced);
    bridge.stop_cleanly();
    run.dropped = bridge.last_metrics().settled("dropped");
    run.judge().assert_only_dropped(10 * UNANSWERED as u64);
}

#[test]
fn connections_cut_again_and_again_lose_nothing() {
    let (scenario, bridge, load) = under_load(require_kafka!(), Rig::start());
    for _ in 0..5 {
        scenario.rig.proxy.cut();
        wait_recovered(&scenario);
    }
    finish(&scenario, bridge, load, 5);
}

#[test]
fn turned_into_a_replica_it_gets_nothing_that_counts_as_published() {
    let master = RedisServer::start();
    let (scenario, bridge, load) = under_load(require_kafka!(), Rig::start());
    scenario
        .rig
        .redis
        .command(&["REPLICAOF", "127.0.0.1", &master.port().to_string()]);
    bridge.wait_metrics("the class is counted", SOON, |m| {
        m.count("redis_errors_total", &[("class", "not_master")]) > 0
    });
    bridge.wait_metrics("redis_up is 0", SOON, |m| m.sum("redis_up", &[]) == 0.0);
    let published = bridge.metrics().settled("published");
    wait::holds("nothing counts as published", Duration::from_secs(2), || {
        bridge.metrics().settled("published") == published
    });
    scenario.rig.redis.command(&["REPLICAOF", "NO", "ONE"]);
    wait_recovered(&scenario);
    // A replica answers and Pub/Sub delivers, so that what was tried meanwhile is heard twice.
    let run = scenario.gather(load.stop(), MINUTE);
    let mut bridge = bridge;
    bridge.stop_cleanly();
    scenario.assert_nothing_given_up(&bridge);
    let verdict = run.judge();
    assert!(
        verdict.lost.is_empty() && verdict.disorder.is_empty(),
        "{verdict}"
    );
}

#[test]
fn transient_errors_are_retried_until_they_end_and_make_no_dead_letter() {
    let (scenario, bridge, load) = under_load(require_kafka!(), Rig::start());
    let errors_put_in = [
        "OOM command not allowed when used memory > 'maxmemory'.",
        "LOADING Redis is loading the dataset in memory",
        "READONLY You can't write against a read only replica.",
        "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    ];
    for error in errors_put_in {
        let (before, injected) = (errors(&bridge), scenario.rig.proxy.injected());
        scenario.rig.proxy.inject(error);
        wait::until_true(error, SOON, || {
            scenario.rig.proxy.injected() > injected && errors(&bridge) > before
        });
        wait::holds("stays alive and in the group", Duration::from_secs(2), || {
            bridge.livez() == 200 && bridge.assigned() == PARTITIONS as u64
        });
        scenario.rig.proxy.inject_nothing();
        wait_recovered(&scenario);
    }
    finish(&scenario, bridge, load, errors_put_in.len());
}

#[test]
fn an_error_on_one_channel_holds_up_no_other_partition_and_is_made_good() {
    let (scenario, bridge, load) = under_load(require_kafka!(), Rig::start());
    scenario.rig.proxy.inject_on(
        "OOM command not allowed when used memory > 'maxmemory'.",
        &["events:key:0-k3"],
    );
    let before = scenario.rig.proxy.injected();
    wait::until_true("met", SOON, || scenario.rig.proxy.injected() > before);
    scenario.rig.proxy.inject_nothing();
    wait_recovered(&scenario);
    finish(&scenario, bridge, load, 1);
}

#[test]
fn a_password_that_is_refused_is_loud_and_over_when_it_is_accepted_again() {
    let redis = RedisServer::start_with_password("first-secret");
    let rig = Rig::around(redis);
    let kafka = require_kafka!();
    let scenario = Scenario::with_rig(kafka, PARTITIONS, rig);
    let url = scenario.rig.proxy.url_as("", "first-secret");
    let bridge = Bridge::start(
        &scenario
            .config()
            .set("redis.url", url)
            .set("batch.max_records", BATCH),
    );
    let load = scenario.load(60_000, 1_500);
    scenario.rig.wait_distinct(1_500, MINUTE);

    scenario.rig.redis.change_password("second-secret");
    wait::until_true("not ready", SOON, || bridge.readyz() == 503);
    let body = bridge.get("/readyz").body;
    assert!(
        body.contains("redis.url") || body.contains("redis.password_file"),
        "names the key: {body}"
    );
    bridge.wait_log(&["redis.url"], SOON);
    assert_eq!(bridge.livez(), 200);

    scenario.rig.redis.change_password("first-secret");
    wait_recovered(&scenario);
    wait::until_true("ready again", SOON, || bridge.readyz() == 200);
    let said = bridge.log().join("\n") + &body + &bridge.get("/status").body;
    assert!(!said.contains("secret"), "a secret was shown");
    finish(&scenario, bridge, load, 1);
}

#[test]
fn pipelines_that_are_refused_as_a_whole_cost_no_connection_and_repeat_nothing() {
    const RECORDS: i64 = 40_000;
    let scenario = Scenario::new(require_kafka!(), PARTITIONS);
    let url = scenario.rig.url_of_publisher("*");
    let redis = &scenario.rig.redis;
    redis.command(&["ACL", "SETUSER", "bridge", "-publish"]);
    // A backlog: pipelines are long, and two are under way when the first answers come.
    let (produced, records): (Vec<_>, Vec<_>) = (0..RECORDS).map(|n| numbered((n % 6) as i32, n / 6)).unzip();
    scenario.kafka.produce(&scenario.topic, records);
    let mut bridge = Bridge::spawn(&scenario.config().set("redis.url", url));
    let refused = |m: &Scrape| m.count("redis_errors_total", &[("class", "noperm")]);
    let first = wait::until("refused", MINUTE, || {
        Some(refused(&bridge.metrics())).filter(|n| *n > 0)
    });
    bridge.wait_metrics("several attempts more", MINUTE, |m| refused(m) > first + 2);

    redis.command(&["ACL", "SETUSER", "bridge", "+publish"]);
    let run = scenario.gather(produced, MINUTE);
    scenario.wait_committed_to_end(SOON);
    let all = bridge.metrics();
    assert_eq!(
        refused(&all),
        all.count("redis_errors_total", &[]),
        "other errors"
    );
    bridge.stop_cleanly();
    scenario.assert_nothing_given_up(&bridge);
    run.judge().assert_perfect();
}

#[test]
fn a_permission_that_is_missing_is_loud_and_over_when_it_is_granted() {
    let kafka = require_kafka!();
    let scenario = Scenario::new(kafka, PARTITIONS);
    let redis = &scenario.rig.redis;
    let url = scenario.rig.url_of_publisher("*");
    let bridge = Bridge::start(
        &scenario
            .config()
            .set("redis.url", url)
            .set("batch.max_records", BATCH),
    );
    let load = scenario.load(60_000, 1_500);
    scenario.rig.wait_distinct(1_500, MINUTE);

    redis.command(&["ACL", "SETUSER", "bridge", "-publish"]);
    wait::until_true("not ready", SOON, || bridge.readyz() == 503);
    let body = bridge.get("/readyz").body.to_lowercase();
    assert!(body.contains("publish"), "names the permission: {body}");
    assert!(errors(&bridge) > 0);

    redis.command(&["ACL", "SETUSER", "bridge", "+publish"]);
    wait_recovered(&scenario);
    wait::until_true("ready again", SOON, || bridge.readyz() == 200);
    finish(&scenario, bridge, load, 1);
}
