//! Copies come, go and die while records flow.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::time::Duration;

use nix::sys::signal::Signal;
use support::bridge::Bridge;
use support::scenario::Scenario;
use support::wait;

const PARTITIONS: i32 = 12;
const REBALANCE: Duration = Duration::from_secs(30);
const MINUTE: Duration = Duration::from_secs(60);

/// Waits until every copy holds partitions, and together all of them.
#[track_caller]
fn wait_shared(bridges: &[&Bridge]) {
    wait::until_true("the copies share the partitions", REBALANCE, || {
        let held: Vec<u64> = bridges.iter().map(|bridge| bridge.assigned()).collect();
        held.iter().all(|count| *count > 0) && held.iter().sum::<u64>() == PARTITIONS as u64
    });
}

/// Something is heard after this moment: the copies work again.
#[track_caller]
fn wait_flowing(scenario: &Scenario) {
    let before = scenario.rig.recorder.distinct();
    scenario.rig.wait_distinct(before + 2_000, REBALANCE);
}

#[test]
fn scaling_from_one_to_three_and_back_loses_nothing_repeats_nothing_and_keeps_order() {
    let scenario = Scenario::new(require_kafka!(), PARTITIONS);
    let config = scenario.config();
    let mut first = Bridge::start(&config);
    let load = scenario.load(200_000, 5_000);
    wait_flowing(&scenario);
    let mut second = Bridge::start(&config);
    wait_shared(&[&first, &second]);
    wait_flowing(&scenario);
    let mut third = Bridge::start(&config);
    wait_shared(&[&first, &second, &third]);
    wait_flowing(&scenario);
    second.stop_cleanly();
    wait_shared(&[&first, &third]);
    wait_flowing(&scenario);
    third.stop_cleanly();
    wait_shared(&[&first]);
    wait_flowing(&scenario);
    assert!(load.written() < 200_000, "scaled under load");

    let run = scenario.gather(load.finish(), MINUTE);
    first.stop_cleanly();
    scenario.assert_nothing_given_up(&first);
    run.judge().assert_perfect();
    assert_eq!(run.heard.len(), 200_000);
    assert_eq!(scenario.uncommitted(), 0);
}

#[test]
fn after_a_revocation_the_series_of_the_partition_are_gone() {
    let scenario = Scenario::new(require_kafka!(), PARTITIONS);
    let first = Bridge::start(&scenario.config());
    scenario.load(1_200, 10_000).finish();
    scenario.rig.wait_distinct(1_200, REBALANCE);
    let second = Bridge::start(&scenario.config());
    wait_shared(&[&first, &second]);
    let series = |bridge: &Bridge, name: &str| bridge.metrics().names().filter(|have| *have == name).count();
    wait::until_true("each partition has one owner", REBALANCE, || {
        let held = [
            series(&first, "committed_offset"),
            series(&second, "committed_offset"),
        ];
        held.iter().all(|count| *count > 0) && held.iter().sum::<usize>() == PARTITIONS as usize
    });
    for name in ["consumer_lag_records", "consumer_lag_seconds", "end_offset"] {
        wait::until_true(name, REBALANCE, || {
            series(&first, name) + series(&second, name) <= PARTITIONS as usize
        });
    }
}

#[test]
fn killed_twice_it_loses_nothing_and_repeats_only_what_was_not_committed() {
    let scenario = Scenario::new(require_kafka!(), PARTITIONS);
    let config = scenario.config().short_session();
    let mut first = Bridge::start(&config);
    let mut second = Bridge::start(&config);
    wait_shared(&[&first, &second]);
    let load = scenario.load(120_000, 4_000);
    scenario.rig.wait_distinct(10_000, MINUTE);

    let mut kills = vec![scenario.kill(&mut first)];
    let mut third = Bridge::start(&config);
    wait_shared(&[&second, &third]);
    wait_flowing(&scenario);
    kills.push(scenario.kill(&mut second));
    wait_shared(&[&third]);
    wait_flowing(&scenario);

    let mut run = scenario.gather(load.finish(), MINUTE);
    run.kills = kills;
    third.stop_cleanly();
    scenario.assert_nothing_given_up(&third);
    run.judge().assert_survived_kills();
    first.assert_books_balance();
    second.assert_books_balance();
}

#[test]
fn stopped_beyond_its_session_it_joins_again_and_commits_nothing_for_the_old_assignment() {
    let scenario = Scenario::new(require_kafka!(), PARTITIONS);
    let config = scenario
        .config()
        .short_session()
        .property("max.poll.interval.ms", "6000")
        .set("delivery.drain_timeout", "3s");
    let mut frozen = Bridge::start(&config);
    let mut other = Bridge::start(&config);
    wait_shared(&[&frozen, &other]);
    let load = scenario.load(60_000, 2_000);
    wait_flowing(&scenario);

    frozen.signal(Signal::SIGSTOP);
    let committed = scenario.committed();
    wait_shared(&[&other]);
    wait_flowing(&scenario);
    let before = scenario.committed();
    frozen.signal(Signal::SIGCONT);
    wait_shared(&[&frozen, &other]);
    let after = scenario.committed();
    for (partition, position) in &before {
        assert!(
            after[partition] >= *position,
            "the commit of partition {partition} went back"
        );
    }

    let run = scenario.gather(load.finish(), MINUTE);
    other.stop_cleanly();
    frozen.stop_cleanly();
    scenario.assert_nothing_given_up(&other);
    let verdict = run.judge();
    assert!(verdict.lost.is_empty(), "{verdict}");
    let uncommitted = |id: &String| {
        let (partition, sequence) = id.split_once('-').unwrap();
        let position = committed.get(&partition.parse().unwrap()).copied().unwrap_or(0);
        sequence.parse::<i64>().unwrap() >= position
    };
    assert!(verdict.duplicates.iter().all(uncommitted), "{verdict}");
}
