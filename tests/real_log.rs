//! The log in an outage: each change of state once, and a fault that goes on doesn't fill the disk.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use support::bridge::Bridge;
use support::private_broker::PrivateBroker;
use support::scenario::Scenario;
use support::wait;

const OUTAGE: Duration = Duration::from_secs(20);
const MINUTE: Duration = Duration::from_secs(60);

/// Lines that were logged since there were `before` of them.
fn since(bridge: &Bridge, before: usize) -> Vec<String> {
    bridge.log().split_off(before)
}

#[track_caller]
fn assert_told(lines: &[String], part: &str, times: usize) {
    let told = lines.iter().filter(|line| line.contains(part)).count();
    assert_eq!(told, times, "{part:?} in {lines:#?}");
}

#[track_caller]
fn assert_at_most(lines: &[String], limit: usize) {
    println!("{}", lines.join("\n"));
    assert!(lines.len() <= limit, "{} lines: {lines:#?}", lines.len());
}

#[test]
fn without_redis_for_twenty_seconds_each_change_is_told_once() {
    let scenario = Scenario::new(require_kafka!(), 4);
    let bridge = Bridge::start(&scenario.config());
    let load = scenario.load(1_000_000, 500);
    scenario.rig.wait_distinct(500, MINUTE);
    let before = bridge.log().len();
    scenario.rig.kill_redis();
    wait::holds("alive", OUTAGE, || bridge.livez() == 200);
    scenario.rig.restore_redis();
    bridge.wait_log(&["Redis is well again"], MINUTE);
    load.stop();
    let lines = since(&bridge, before);
    assert_told(&lines, "Redis fails: ", 1);
    assert_told(&lines, "Redis is down", 1);
    assert_told(&lines, "Redis is well again", 1);
    assert_at_most(&lines, 4);
}

#[test]
fn without_kafka_for_twenty_seconds_each_change_is_told_once() {
    let _kafka = require_kafka!();
    let Some(broker) = PrivateBroker::start("a log without Kafka") else {
        return;
    };
    let scenario = Scenario::new(broker.kafka(), 4);
    let bridge = Bridge::start(&scenario.config());
    let load = scenario.load(1_000_000, 500);
    scenario.rig.wait_distinct(500, MINUTE);
    let before = bridge.log().len();
    broker.control("kill");
    wait::holds("alive", OUTAGE, || bridge.livez() == 200);
    broker.control("restart");
    bridge.wait_log(&["Kafka is well again"], MINUTE);
    bridge.wait_log(&["lag can be determined again"], MINUTE);
    let heard = scenario.rig.recorder.distinct();
    scenario.rig.wait_distinct(heard + 500, MINUTE);
    load.stop();
    let lines = since(&bridge, before);
    assert!(bridge.metrics().count("kafka_errors_total", &[]) > 0);
    assert_told(&lines, "brokers are down", 1);
    assert_told(&lines, "Kafka is well again", 1);
    assert_told(&lines, "lag can't be determined", 1);
    assert_told(&lines, "lag can be determined again", 1);
    assert_at_most(&lines, 10);
}

/// Lets the bridge open so many files and connections.
fn limit_files(bridge: &Bridge, limit: usize) {
    let pid = bridge.pid().to_string();
    let limit = format!("--nofile={limit}:");
    let status = Command::new("prlimit").args(["--pid", &pid, &limit]).status();
    assert!(status.unwrap().success());
}

#[test]
fn what_fails_again_and_again_is_told_three_times_and_then_counted() {
    let scenario = Scenario::new(require_kafka!(), 1);
    let bridge = Bridge::start(&scenario.config());
    let files = std::fs::read_dir(format!("/proc/{}/fd", bridge.pid())).unwrap();
    // As many as it has: a connection can't be accepted, and it is tried ten times a second.
    limit_files(&bridge, files.count());
    let waiting = TcpStream::connect(bridge.address().unwrap()).unwrap();
    bridge.wait_log(
        &["not told again: HTTP: accepting a connection failed"],
        2 * MINUTE,
    );
    limit_files(&bridge, 1024);
    wait::until_true("it answers again", MINUTE, || bridge.livez() == 200);
    drop(waiting);
    let lines = bridge.log();
    let place = lines
        .iter()
        .position(|line| line.contains("not told again"))
        .unwrap();
    let count = lines[place].rsplit("suppressed=").next().unwrap();
    assert!(count.parse::<u32>().unwrap() > 100, "{lines:#?}");
    assert_told(&lines[..place], "HTTP: accepting a connection failed", 3);
    assert!(lines.len() - place <= 2, "{lines:#?}");
}
