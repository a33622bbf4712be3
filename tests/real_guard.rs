//! The flood guard: a topic of the wrong format is not copied whole into the dead-letter queue, and flows again when it
//! is good again, or when the route is mended.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::time::{Duration, Instant};

use support::bridge::Bridge;
use support::load::numbered;
use support::producer::NewRecord;
use support::scenario::Scenario;
use support::wait;

const SOON: Duration = Duration::from_secs(15);
const MINUTE: Duration = Duration::from_secs(60);
/// `dlq.guard.burst` and `dlq.guard.rate` as they are by default.
const BURST: i64 = 100;
const RATE: i64 = 1;

fn letters(scenario: &Scenario) -> i64 {
    scenario.kafka.ends(&scenario.dlq()).values().sum()
}

#[test]
fn fifty_thousand_are_held_to_burst_and_rate_and_with_a_mended_route_the_rest_goes_out_in_order() {
    const RECORDS: i64 = 50_000;
    let scenario = Scenario::new(require_kafka!(), 1);
    let wrong = (0..RECORDS).map(|n| NewRecord::of(format!(r#"{{"number":{n}}}"#)).to(0));
    scenario.kafka.produce(&scenario.topic, wrong);
    let started = Instant::now();
    let mut bridge = Bridge::start(&scenario.config());
    wait::until_true("the burst", SOON, || letters(&scenario) >= BURST);
    wait::holds("burst and rate", Duration::from_secs(8), || {
        // One more for the rounding of the time.
        letters(&scenario) <= BURST + RATE * i64::try_from(started.elapsed().as_secs()).unwrap() + 1
    });
    assert!(
        bridge
            .metrics()
            .count("paused_partitions", &[("reason", "guard")])
            > 0
    );
    // A dead letter that the guard holds back is left to the next copy.
    let code = bridge.terminate(Duration::from_secs(20));
    assert!(code == 0 || code == 75, "exit code {code}");
    bridge.assert_books_balance();
    let dead = letters(&scenario);

    let mended = format!(
        "topics = [\"{}\"]\nid = \"/number\"\ntype = \"literal:counted\"\nsource_type = \"literal:number\"\n\
         source_id = \"literal:all\"",
        scenario.topic
    );
    let mut bridge = Bridge::start(&scenario.config().route(&mended));
    scenario
        .rig
        .wait_distinct(usize::try_from(RECORDS - dead).unwrap(), MINUTE);
    let numbers: Vec<i64> = scenario
        .rig
        .recorder
        .notes()
        .iter()
        .map(|note| note.json()["id"].as_str().unwrap().parse().unwrap())
        .collect();
    assert_eq!(numbers, (dead..RECORDS).collect::<Vec<_>>());
    assert_eq!(letters(&scenario), dead);
    bridge.stop_cleanly();
}

#[test]
fn a_topic_that_turns_good_again_flows_without_a_restart() {
    let scenario = Scenario::new(require_kafka!(), 1);
    let mut bridge = Bridge::start(&scenario.config().set("dlq.guard.rate", 100));
    let poison = (0..500).map(|_| NewRecord::of("poison").to(0));
    scenario.kafka.produce(&scenario.topic, poison);
    scenario
        .kafka
        .produce(&scenario.topic, (0..5_000).map(|n| numbered(0, n).1));
    scenario.rig.wait_distinct(5_000, MINUTE);
    scenario.wait_committed_to_end(SOON);
    assert_eq!(letters(&scenario), 500);
    wait::until_true("nothing is paused", SOON, || {
        bridge.metrics().sum("paused_partitions", &[]) == 0.0
    });
    bridge.wait_log(&["the guard ends"], SOON);
    bridge.stop_cleanly();
}
