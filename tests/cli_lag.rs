//! `lag`: the group's lag from outside, whoever owns what.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use support::bridge::Bridge;
use support::cli::{self, Outcome, run_cli};
use support::groups::describe;
use support::kafka::{Kafka, fresh};
use support::producer::NewRecord;
use support::scenario::Scenario;
use support::transactions::{abort, commit};
use support::wait;

const PATIENCE: Duration = Duration::from_secs(30);

fn events(count: usize, partition: i32) -> Vec<NewRecord> {
    let value = |n| format!(r#"{{"id":"{n}","type":"push","source_type":"user","source_id":"{n}"}}"#);
    (0..count)
        .map(|n| NewRecord::of(value(n)).to(partition))
        .collect()
}

fn lag(kafka: &Kafka, group: &str, more: &[&str]) -> Outcome {
    let arguments = [
        "lag",
        "--bootstrap-servers",
        &kafka.bootstrap,
        "--group-id",
        group,
    ];
    run_cli(&[&arguments, more].concat(), PATIENCE)
}

#[track_caller]
fn report(outcome: &Outcome) -> Value {
    assert_eq!(outcome.code, 0, "{outcome:?}");
    serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {outcome:?}"))
}

/// The partition's committed offset, end and lag in records.
fn numbers(report: &Value, partition: usize) -> [Option<i64>; 3] {
    let row = &report["partitions"][partition];
    ["committed", "end", "lag_records"].map(|key| row[key].as_i64())
}

#[test]
fn it_works_while_no_copy_runs_and_agrees_with_kafkas_own_tool() {
    let kafka = require_kafka!();
    let scenario = Scenario::new(kafka, 3);
    let kafka = &scenario.kafka;
    kafka.produce(&scenario.topic, events(4, 0));
    let mut bridge = Bridge::start(&scenario.config());
    scenario.wait_committed_to_end(PATIENCE);
    bridge.stop_cleanly();
    let before = scenario.committed();
    kafka.produce(&scenario.topic, events(5, 0));
    // Nothing but markers to go on with.
    abort(kafka, &scenario.topic, events(2, 2));

    let report = report(&lag(kafka, &scenario.group, &[]));
    assert_eq!(numbers(&report, 0), [Some(4), Some(9), Some(5)]);
    assert_eq!(numbers(&report, 1), [Some(0), Some(0), Some(0)]);
    assert_eq!(numbers(&report, 2)[2], Some(0), "{report}");
    let seconds = |n: usize| report["partitions"][n]["lag_seconds"].as_f64();
    assert!(seconds(0) > Some(0.0) && seconds(0) < Some(30.0), "{report}");
    assert_eq!([seconds(1), seconds(2)], [Some(0.0); 2]);
    assert_eq!(report["lag_records"], 5);
    assert_eq!(report["state"], "Empty");
    assert!(report["partitions"][0]["member"].is_null());
    assert_eq!(describe(kafka, &scenario.group)[&0].lag, 5);
    assert_eq!(scenario.committed(), before, "it commits nothing");
}

#[test]
fn every_partition_names_the_copy_that_owns_it() {
    names_owners(require_kafka!(), "classic");
}

#[test]
fn so_it_does_with_the_newer_group_protocol() {
    names_owners(require_kafka!(), "consumer");
}

fn names_owners(kafka: Kafka, protocol: &str) {
    let scenario = Scenario::new(kafka, 4);
    let config = scenario.config().property("group.protocol", protocol);
    let copy = |name| Bridge::start(&config.clone().property("client.id", name));
    let (mut one, mut two) = (copy("one"), copy("two"));
    wait::until_true("two each", PATIENCE, || {
        one.assigned() == 2 && two.assigned() == 2
    });
    let found = report(&lag(&scenario.kafka, &scenario.group, &[]));
    assert_eq!(
        (&found["members"], &found["state"]),
        (&2.into(), &"Stable".into())
    );
    let described = describe(&scenario.kafka, &scenario.group);
    for row in found["partitions"].as_array().unwrap() {
        let member = &row["member"];
        let number = i32::try_from(row["partition"].as_i64().unwrap()).unwrap();
        assert_eq!(
            member["client_id"].as_str().unwrap(),
            described[&number].client,
            "{row}"
        );
        assert_eq!(member["host"], "127.0.0.1");
        assert!(member["member_id"].as_str().unwrap().len() > 10);
    }
    assert_eq!(found["partitions"].as_array().unwrap().len(), 4);
    two.stop_cleanly();
    one.stop_cleanly();
}

#[test]
fn on_a_terminal_that_does_not_say_how_wide_it_is_the_table_has_lines() {
    let kafka = require_kafka!();
    let topic = kafka.topic(1);
    let command = format!(
        "{} lag --bootstrap-servers {} --group-id {} --topic {topic}",
        cli::binary(),
        kafka.bootstrap,
        fresh("group")
    );
    // A terminal of `script` is as wide as its own, and here it has none.
    let output = Command::new("script")
        .args(["-qec", &command, "/dev/null"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    let titles = shown.lines().find(|line| line.contains("topic "));
    assert!(
        titles.is_some_and(|line| line.contains("committed") && line.contains("owner")),
        "{shown}"
    );
}

#[test]
fn without_a_commit_the_start_rule_decides_and_what_is_open_is_null() {
    let kafka = require_kafka!();
    let topic = kafka.topic(1);
    commit(&kafka, &topic, events(3, 0));
    wait::until_true("three records and a marker", PATIENCE, || {
        kafka.ends(&topic)[&0] == 4
    });
    let group = fresh("group");
    let latest = report(&lag(&kafka, &group, &["--topic", &topic]));
    assert_eq!(numbers(&latest, 0), [None, Some(4), None]);
    assert!(latest["partitions"][0]["lag_seconds"].is_null());
    let nothing = report(&lag(&kafka, &group, &[]));
    assert_eq!(nothing["partitions"].as_array().unwrap().len(), 0);

    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bridge.toml");
    let text = format!(
        "[kafka]\nbootstrap_servers = \"{}\"\ngroup_id = \"{group}\"\ntopics = [\"{topic}\"]\nstart_from = \
         \"earliest\"\n",
        kafka.bootstrap
    );
    std::fs::write(&file, text).unwrap();
    let earliest = run_cli(&["lag", "--config", file.to_str().unwrap()], PATIENCE);
    let earliest = report(&earliest);
    assert_eq!(numbers(&earliest, 0), [None, Some(4), Some(4)]);
    assert!(earliest["partitions"][0]["lag_seconds"].as_f64() > Some(0.0));
}

#[test]
fn what_is_wrong_has_its_exit_code() {
    let kafka = require_kafka!();
    let group = fresh("group");
    let missing = lag(&kafka, &group, &["--topic", "no-such-topic"]);
    assert_eq!(missing.code, 78, "{missing:?}");
    assert!(missing.stderr.contains("no-such-topic does not exist"));
    let usage = lag(&kafka, &group, &["--watch", "1ms"]);
    assert_eq!(usage.code, 64, "{usage:?}");
    let env = [("KAFKA_REDIS_BRIDGE__KAFKA__STARTUP_TIMEOUT", "1s")];
    let nobody = cli::run_cli_with(&["lag", "--bootstrap-servers", "127.0.0.1:1"], &env, PATIENCE);
    assert_eq!(nobody.code, 69, "{nobody:?}");
    assert!(nobody.stdout.is_empty());
}

#[test]
fn watching_prints_one_line_for_each_look_until_it_is_interrupted() {
    let kafka = require_kafka!();
    let topic = kafka.topic(1);
    let mut child = cli::command()
        .args(["lag", "--bootstrap-servers", &kafka.bootstrap])
        .args([
            "--group-id",
            &fresh("group"),
            "--topic",
            &topic,
            "--watch",
            "200ms",
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for _ in 0..3 {
        let line = lines.next().unwrap().unwrap();
        let report: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(report["partitions"][0]["topic"], topic.as_str());
    }
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).unwrap();
    let status = wait::until("it ends", PATIENCE, || child.try_wait().unwrap());
    assert_eq!(cli::code(status), 0);
}
