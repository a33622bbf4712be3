//! How a copy ends.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use support::bridge::Bridge;
use support::load::Load;
use support::scenario::Scenario;
use support::wait;

const PARTITIONS: i32 = 4;
const SOON: Duration = Duration::from_secs(10);
const MINUTE: Duration = Duration::from_secs(60);
const UNANSWERED: usize = 1_000;

/// A bridge under load whose Redis has just died.
fn without_redis(scenario: &Scenario, drain: &str) -> (Bridge, Load) {
    let config = scenario
        .config()
        .short_session()
        .set("delivery.drain_timeout", drain)
        .set("batch.max_records", 100);
    let bridge = Bridge::start(&config);
    let load = scenario.load(20_000, 1_000);
    scenario.rig.wait_distinct(1_000, MINUTE);
    scenario.rig.kill_redis();
    bridge.wait_metrics("records are held", SOON, |m| {
        m.sum("records_in_flight", &[]) > 0.0
    });
    (bridge, load)
}

#[test]
fn sigterm_drains_commits_and_leaves() {
    let scenario = Scenario::new(require_kafka!(), PARTITIONS);
    let mut bridge = Bridge::start(&scenario.config());
    let load = scenario.load(20_000, 2_000);
    scenario.rig.wait_distinct(4_000, MINUTE);
    let asked = Instant::now();
    bridge.stop_cleanly();
    assert!(asked.elapsed() < SOON);
    let heard = scenario.rig.recorder.barrier(&scenario.rig.redis);
    let committed: i64 = scenario.committed().values().sum();
    assert_eq!(
        usize::try_from(committed).unwrap(),
        heard,
        "committed is what was published"
    );

    // Left, not timed out: the next copy gets all partitions at once.
    let started = Instant::now();
    let mut next = Bridge::start(&scenario.config());
    wait::until_true("all partitions", SOON, || next.assigned() == PARTITIONS as u64);
    assert!(started.elapsed() < Duration::from_secs(15));
    let run = scenario.gather(load.finish(), MINUTE);
    next.stop_cleanly();
    run.judge().assert_perfect();
}

#[test]
fn sigint_ends_it_like_sigterm() {
    let scenario = Scenario::new(require_kafka!(), 1);
    let mut bridge = Bridge::start(&scenario.config());
    bridge.signal(Signal::SIGINT);
    assert_eq!(bridge.wait_exit(SOON), 0);
}

#[test]
fn sigterm_while_redis_is_down_ends_with_75_at_the_deadline_and_loses_nothing() {
    let scenario = Scenario::new(require_kafka!(), PARTITIONS);
    let (mut bridge, load) = without_redis(&scenario, "3s");
    bridge.signal(Signal::SIGTERM);
    wait::until_true("not ready while it drains", SOON, || bridge.readyz() != 200);
    let asked = Instant::now();
    assert_eq!(bridge.wait_exit(Duration::from_secs(15)), 75);
    assert!(
        asked.elapsed() < Duration::from_secs(8),
        "took {:?}",
        asked.elapsed()
    );
    bridge.assert_books_balance();

    scenario.rig.restore_redis();
    let mut next = Bridge::start(&scenario.config());
    let run = scenario.gather(load.finish(), MINUTE);
    next.stop_cleanly();
    scenario.assert_nothing_given_up(&next);
    run.judge().assert_nothing_lost(UNANSWERED);
}

#[test]
fn its_last_words_are_the_books_with_what_was_dropped_at_the_very_end() {
    const RECORDS: u64 = 50;
    let scenario = Scenario::new(require_kafka!(), 1);
    // Longer than the drain takes, so that nothing is given up before.
    let mut bridge = Bridge::start(&scenario.best_effort().set("delivery.retry_for", "2s"));
    scenario.rig.kill_redis();
    let load = scenario.load(RECORDS, 10_000);
    bridge.wait_metrics("all are in flight", SOON, |m| {
        m.count("records_in_flight", &[]) == RECORDS
    });
    load.finish();
    assert_eq!(bridge.terminate(SOON), 0);
    let words =
        format!("consumed={RECORDS} published=0 skipped=0 dead_lettered=0 dropped={RECORDS} abandoned=0");
    bridge.wait_log(&[&words], Duration::ZERO);
}

#[test]
fn a_second_signal_ends_it_at_once_with_75() {
    let scenario = Scenario::new(require_kafka!(), PARTITIONS);
    let (mut bridge, load) = without_redis(&scenario, "60s");
    bridge.signal(Signal::SIGTERM);
    // A supervisor that sends its signal to the process and to its group sends it twice: that is still one.
    bridge.signal(Signal::SIGTERM);
    wait::until_true("not ready while it drains", SOON, || bridge.readyz() != 200);
    wait::holds("it drains", Duration::from_millis(300), || bridge.readyz() == 503);
    bridge.signal(Signal::SIGTERM);
    assert_eq!(bridge.wait_exit(Duration::from_secs(5)), 75);

    scenario.rig.restore_redis();
    let _next = Bridge::start(&scenario.config());
    scenario
        .gather(load.finish(), MINUTE)
        .judge()
        .assert_nothing_lost(UNANSWERED);
}

#[test]
fn sigterm_before_redis_was_ever_there_ends_it() {
    let kafka = require_kafka!();
    let rig = support::rig::Rig::before(support::redis::RedisServer::absent());
    let scenario = Scenario::with_rig(kafka, PARTITIONS, rig);
    let mut bridge = Bridge::spawn(&scenario.config().set("delivery.drain_timeout", "2s"));
    wait::until_true("joined", support::bridge::READY, || {
        bridge.readyz() == 503 && bridge.assigned() == PARTITIONS as u64
    });
    let code = bridge.terminate(SOON);
    assert!(code == 0, "nothing was in flight: {code}");
}
