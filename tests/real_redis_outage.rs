//! Redis dies, is away, or isn't there yet.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::time::Duration;

use support::bridge::{Bridge, READY};
use support::load::numbered;
use support::redis::RedisServer;
use support::rig::Rig;
use support::scenario::Scenario;
use support::wait;

const PARTITIONS: i32 = 6;
const OUTAGE: Duration = Duration::from_secs(10);
const SOON: Duration = Duration::from_secs(5);
const MINUTE: Duration = Duration::from_secs(60);
/// Small batches bound what can be sent and unanswered when a connection is given up.
const BATCH: i64 = 100;
/// A few batches in flight.
const UNANSWERED: usize = 10 * BATCH as usize;

#[test]
fn at_least_once_holds_its_place_through_ten_seconds_without_redis() {
    let scenario = Scenario::new(require_kafka!(), PARTITIONS);
    let mut bridge = Bridge::start(&scenario.config().set("batch.max_records", BATCH));
    let load = scenario.load(60_000, 2_500);
    scenario.rig.wait_distinct(5_000, MINUTE);

    scenario.rig.kill_redis();
    bridge.wait_metrics("redis_up is 0", SOON, |m| {
        m.has("redis_up", &[]) && m.sum("redis_up", &[]) == 0.0
    });
    wait::holds("nothing unsettled is committed", OUTAGE, || {
        let state = (bridge.livez(), bridge.readyz(), bridge.assigned());
        assert_eq!(state, (200, 200, PARTITIONS as u64), "live, ready, partitions");
        scenario.commits_only_what_is_settled(&bridge)
    });
    let before = scenario.rig.recorder.distinct();
    scenario.rig.restore_redis();
    scenario.rig.wait_distinct(before + 1, SOON);
    bridge.wait_metrics("redis_up is 1", SOON, |m| m.sum("redis_up", &[]) >= 1.0);

    let run = scenario.gather(load.finish(), MINUTE);
    scenario.wait_committed_to_end(SOON);
    bridge.stop_cleanly();
    scenario.assert_nothing_given_up(&bridge);
    run.judge().assert_nothing_lost(UNANSWERED);
}

#[test]
fn best_effort_keeps_lag_flat_without_redis_and_misses_only_what_it_counted_as_dropped() {
    let scenario = Scenario::new(require_kafka!(), PARTITIONS);
    let mut bridge = Bridge::start(&scenario.best_effort().set("batch.max_records", BATCH));
    let load = scenario.load(60_000, 2_500);
    scenario.rig.wait_distinct(5_000, MINUTE);

    scenario.rig.kill_redis();
    bridge.wait_metrics("records drop", SOON, |m| m.settled("dropped") > 0);
    wait::holds("lag stays flat", OUTAGE, || {
        bridge.livez() == 200 && bridge.readyz() == 200 && scenario.uncommitted() < 10_000
    });
    scenario.rig.restore_redis();
    let before = scenario.rig.recorder.distinct();
    scenario.rig.wait_distinct(before + 1, Duration::from_secs(10));

    let produced = load.finish();
    scenario.wait_committed_to_end(MINUTE);
    let mut run = scenario.gather_now(produced);
    bridge.stop_cleanly();
    let scrape = bridge.last_metrics();
    assert_eq!(scrape.settled("dead_lettered"), 0);
    run.dropped = scrape.settled("dropped");
    assert!(run.dropped > 0);
    run.judge().assert_only_dropped(UNANSWERED as u64);
}

#[test]
fn partitions_that_move_without_redis_are_given_up_in_time_and_lose_nothing() {
    let scenario = Scenario::new(require_kafka!(), PARTITIONS);
    let config = scenario.config().set("delivery.drain_timeout", "2s");
    let mut one = Bridge::start(&config);
    let load = scenario.load(20_000, 1_000);
    scenario.rig.wait_distinct(1_000, MINUTE);
    scenario.rig.kill_redis();
    one.wait_metrics("records wait", SOON, |m| m.sum("records_in_flight", &[]) > 0.0);
    let mut two = Bridge::spawn(&config);
    one.wait_metrics("the drain is given up", MINUTE, |m| {
        m.count("drain_timeouts_total", &[("kind", "revoke")]) == 1
            && m.settled_for("abandoned", "deadline") > 0
    });
    wait::until_true("half of them each", MINUTE, || {
        (one.assigned(), two.assigned()) == (3, 3)
    });
    scenario.rig.restore_redis();
    let run = scenario.gather(load.finish(), MINUTE);
    scenario.wait_committed_to_end(SOON);
    two.stop_cleanly();
    one.stop_cleanly();
    // What the first copy had sent and had no answer to, the second sends again.
    run.judge().assert_nothing_lost(20 * UNANSWERED);
}

#[test]
fn without_redis_at_the_start_it_waits_unready_and_then_delivers() {
    let kafka = require_kafka!();
    let scenario = Scenario::with_rig(kafka, PARTITIONS, Rig::before(RedisServer::absent()));
    let mut bridge = Bridge::spawn(&scenario.config());
    wait::until_true("/readyz answers", READY, || bridge.readyz() == 503);
    let produced: Vec<_> = (0..PARTITIONS).map(|p| numbered(p, 0)).collect();
    scenario
        .kafka
        .produce(&scenario.topic, produced.iter().map(|(_, record)| record.clone()));
    wait::until_true("it has joined", READY, || bridge.assigned() == PARTITIONS as u64);
    wait::holds("not ready, alive", Duration::from_secs(3), || {
        bridge.readyz() == 503 && bridge.livez() == 200
    });

    scenario.rig.restore_redis();
    bridge.wait_ready(Duration::from_secs(10));
    let run = scenario.gather(
        produced.into_iter().map(|(produced, _)| produced).collect(),
        MINUTE,
    );
    bridge.stop_cleanly();
    scenario.assert_nothing_given_up(&bridge);
    run.judge().assert_perfect();
}

#[test]
fn a_gap_is_announced_once_after_an_outage_in_which_notifications_were_dropped() {
    let scenario = Scenario::new(require_kafka!(), PARTITIONS);
    let mut bridge = Bridge::start(&scenario.best_effort().set("redis.gap_channel", "events:gap"));
    let load = scenario.load(60_000, 1_000);
    scenario.rig.wait_distinct(1_000, MINUTE);
    scenario.rig.kill_redis();
    bridge.wait_metrics("records drop", SOON, |m| m.settled("dropped") > 0);
    scenario.rig.restore_redis();
    let gaps = |notes: &[support::recorder::Note]| {
        notes
            .iter()
            .filter(|note| note.channel == "events:gap")
            .cloned()
            .collect::<Vec<_>>()
    };
    scenario
        .rig
        .recorder
        .wait_until("the gap", Duration::from_secs(15), |notes| {
            !gaps(notes).is_empty()
        });
    load.stop();
    scenario.wait_committed_to_end(MINUTE);
    bridge.stop_cleanly();
    scenario.rig.recorder.barrier(&scenario.rig.redis);
    let gaps = gaps(&scenario.rig.recorder.notes());
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    let gap = gaps[0].json();
    assert_eq!(gap["type"], "gap");
    let time = |key: &str| gap[key].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert!(time("from") <= time("to"), "{gap}");
}
