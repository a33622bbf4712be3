//! Kafka goes and comes back while the bridge runs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::time::{Duration, Instant};

use support::bridge::Bridge;
use support::private_broker::PrivateBroker;
use support::scenario::Scenario;
use support::wait;

const PARTITIONS: i32 = 4;
const MINUTE: Duration = Duration::from_secs(60);

/// A broker of the test's own and a scenario on it; nothing where none can be had.
fn on_a_broker_of_its_own(test: &str) -> Option<(PrivateBroker, Scenario)> {
    let broker = PrivateBroker::start(test)?;
    let scenario = Scenario::new(broker.kafka(), PARTITIONS);
    Some((broker, scenario))
}

#[test]
fn a_broker_killed_and_restarted_loses_nothing_and_ends_nothing() {
    let _kafka = require_kafka!();
    let Some((broker, scenario)) = on_a_broker_of_its_own("a killed broker") else {
        return;
    };
    let mut bridge = Bridge::start(&scenario.config());
    let load = scenario.load(20_000, 1_000);
    scenario.rig.wait_distinct(2_000, MINUTE);
    broker.control("kill");
    wait::holds("alive", Duration::from_secs(3), || bridge.livez() == 200);
    broker.control("restart");
    let before = scenario.rig.recorder.distinct();
    scenario.rig.wait_distinct(before + 1_000, MINUTE);
    let run = scenario.gather(load.finish(), MINUTE);
    scenario.wait_committed_to_end(MINUTE);
    bridge.stop_cleanly();
    scenario.assert_nothing_given_up(&bridge);
    // A broker that dies between a publish and its commit makes the group start again at what it knows.
    let verdict = run.judge();
    assert!(
        verdict.lost.is_empty() && verdict.disorder.is_empty(),
        "{verdict}"
    );
}

#[test]
fn a_broker_silent_beyond_the_session_timeout_is_joined_again() {
    let _kafka = require_kafka!();
    let Some((broker, scenario)) = on_a_broker_of_its_own("a silent broker") else {
        return;
    };
    let mut bridge = Bridge::start(&scenario.config().short_session());
    let load = scenario.load(20_000, 1_000);
    scenario.rig.wait_distinct(2_000, MINUTE);
    broker.control("pause");
    // Longer than the member's session of six seconds, shorter than the broker's own with its controller, nine: a broker
    // that is fenced by its controller takes no records from the test's producer for a while.
    wait::holds("alive", Duration::from_millis(7_500), || bridge.livez() == 200);
    broker.control("cont");
    let run = scenario.gather(load.finish(), MINUTE);
    scenario.wait_committed_to_end(MINUTE);
    bridge.stop_cleanly();
    scenario.assert_nothing_given_up(&bridge);
    let verdict = run.judge();
    assert!(
        verdict.lost.is_empty() && verdict.disorder.is_empty(),
        "{verdict}"
    );
}

#[test]
fn sigterm_while_kafka_is_down_ends_within_the_deadline() {
    let _kafka = require_kafka!();
    let Some((broker, scenario)) = on_a_broker_of_its_own("no broker at the end") else {
        return;
    };
    // The copy can't leave a group whose coordinator is gone: the next one gets in when its session has ended.
    let config = scenario
        .config()
        .set("delivery.drain_timeout", "3s")
        .short_session();
    let mut bridge = Bridge::start(&config);
    let produced = scenario.load(1_000, 100_000).finish();
    scenario.rig.wait_distinct(1_000, MINUTE);
    broker.control("kill");
    let asked = Instant::now();
    let code = bridge.terminate(Duration::from_secs(15));
    assert!(code == 0 || code == 75, "exit code {code}");
    assert!(
        asked.elapsed() < Duration::from_secs(12),
        "took {:?}",
        asked.elapsed()
    );
    bridge.assert_books_balance();

    broker.control("restart");
    let mut next = Bridge::start(&config);
    scenario.wait_committed_to_end(MINUTE);
    let verdict = scenario.gather_now(produced).judge();
    assert!(
        verdict.lost.is_empty() && verdict.disorder.is_empty(),
        "{verdict}"
    );
    next.stop_cleanly();
}
