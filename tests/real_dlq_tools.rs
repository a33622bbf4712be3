//! `dlq list`, `show`, `stats` and `purge` on dead letters that the bridge has written.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use support::bridge::Bridge;
use support::cli::{Outcome, command, run_cli};
use support::config::Config;
use support::producer::NewRecord;
use support::scenario::Scenario;

const SOON: Duration = Duration::from_secs(30);

/// A scenario, and its configuration as a file.
struct Desk {
    scenario: Scenario,
    dir: tempfile::TempDir,
}

impl Desk {
    fn new(scenario: Scenario) -> Self {
        let dir = tempfile::tempdir().unwrap();
        scenario.config().write(&dir.path().join("bridge.toml"));
        Self { scenario, dir }
    }

    /// With dead letters of these records.
    fn with(scenario: Scenario, poison: Vec<NewRecord>) -> Self {
        let count = i64::try_from(poison.len()).unwrap();
        // A guard would hold them up.
        let mut bridge = Bridge::start(&scenario.config().set("dlq.guard.burst", 100_000));
        scenario.kafka.produce(&scenario.topic, poison);
        scenario.wait_dead_letters(count, SOON);
        bridge.stop_cleanly();
        Self::new(scenario)
    }

    fn file(&self, name: &str) -> String {
        self.dir.path().join(name).to_string_lossy().into_owned()
    }

    /// `dlq COMMAND --config FILE FLAGS`.
    fn dlq(&self, command: &str, flags: &[&str]) -> Outcome {
        let file = self.file("bridge.toml");
        run_cli(&[&["dlq", command, "--config", &file], flags].concat(), SOON)
    }

    /// The objects that a command prints.
    #[track_caller]
    fn objects(&self, command: &str, flags: &[&str]) -> Vec<Value> {
        let outcome = self.dlq(command, flags);
        assert_eq!(outcome.code, 0, "{outcome:?}");
        let lines = outcome.stdout.lines();
        lines.map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The source offsets of the letters that `dlq list` prints, in its order.
    #[track_caller]
    fn listed(&self, flags: &[&str]) -> Vec<i64> {
        let rows = self.objects("list", flags);
        rows.iter()
            .map(|row| row["source"]["offset"].as_i64().unwrap())
            .collect()
    }

    #[track_caller]
    fn depth(&self) -> u64 {
        self.objects("stats", &[])[0]["depth"].as_u64().unwrap()
    }
}

fn envelope(source_id: &str) -> String {
    format!(r#"{{"id":1,"type":"t","source_type":"s"{source_id}}}"#)
}

/// Ten dead letters of one partition: `k0` … `k9`, every other one missing a field.
fn ten() -> Vec<NewRecord> {
    let poison = |n: i32| match n % 2 {
        0 => NewRecord::of("no json"),
        _ => NewRecord::of(envelope("")),
    };
    (0..10).map(|n| poison(n).key(format!("k{n}")).to(0)).collect()
}

#[test]
fn the_newest_or_the_oldest_come_first_and_no_more_than_asked_for() {
    let desk = Desk::with(Scenario::new(require_kafka!(), 1), ten());
    assert_eq!(desk.listed(&[]), (0..10).rev().collect::<Vec<_>>());
    assert_eq!(desk.listed(&["--oldest"]), (0..10).collect::<Vec<_>>());
    assert_eq!(desk.listed(&["--limit", "3"]), [9, 8, 7]);
    assert_eq!(desk.listed(&["--limit", "3", "--oldest"]), [0, 1, 2]);
}

#[test]
fn filters_find_what_they_name_however_far_back_it_is() {
    let desk = Desk::with(Scenario::new(require_kafka!(), 1), ten());
    assert_eq!(desk.listed(&["--reason", "missing_field"]), [9, 7, 5, 3, 1]);
    assert_eq!(desk.listed(&["--key", "k0", "--limit", "1"]), [0]);
    assert_eq!(desk.listed(&["--offset", "3..5"]), [4, 3]);
    assert_eq!(
        desk.listed(&["--topic", &desk.scenario.topic, "--offset", "8.."]),
        [9, 8]
    );
    assert_eq!(
        desk.listed(&["--since", "1h", "--partition", "0", "--offset", "7"]),
        [7]
    );
    for nothing in [
        ["--topic", "another"],
        ["--until", "1h"],
        ["--since", "2100-01-01T00:00:00Z"],
        ["--reason", "wrong_type"],
        ["--partition", "1"],
    ] {
        assert!(desk.listed(&nothing).is_empty(), "{nothing:?}");
    }
    let row = &desk.objects("list", &["--key", "k3"])[0];
    let place = format!("{}:{}", row["partition"], row["offset"]);
    assert_eq!(desk.listed(&["--letter", &place]), [3]);
    assert_eq!(row["reason"], "missing_field");
    assert_eq!((&row["key"], &row["value_bytes"]), (&"k3".into(), &37.into()));
    assert_eq!(
        (&row["resolved"], &row["replay_count"]),
        (&false.into(), &0.into())
    );
}

#[test]
fn stats_count_by_reason_and_topic_and_agree_with_the_list() {
    let desk = Desk::with(Scenario::new(require_kafka!(), 1), ten());
    let stats = &desk.objects("stats", &[])[0];
    assert_eq!((&stats["depth"], &stats["letters"]), (&10.into(), &10.into()));
    let groups = stats["by_reason_and_topic"].as_array().unwrap();
    let named: BTreeSet<(&str, u64)> = groups
        .iter()
        .map(|group| {
            (
                group["reason"].as_str().unwrap(),
                group["letters"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(named, BTreeSet::from([("invalid_json", 5), ("missing_field", 5)]));
    assert!(
        groups
            .iter()
            .all(|group| group["topic"] == desk.scenario.topic.as_str())
    );
    let rows = desk.objects("list", &["--oldest"]);
    assert_eq!(stats["oldest"], rows[0]["failed_at"]);
    assert_eq!(stats["newest"], rows[9]["failed_at"]);
    let filtered = &desk.objects("stats", &["--key", "k1"])[0];
    assert_eq!(
        (&filtered["depth"], &filtered["letters"]),
        (&10.into(), &1.into())
    );
}

#[test]
fn show_says_what_the_present_configuration_and_what_a_mended_one_would_make_of_it() {
    let poison = NewRecord::of(r#"{"order":7,"state":"paid"}"#)
        .key([0xff])
        .header("h", None);
    let desk = Desk::with(Scenario::new(require_kafka!(), 1), vec![poison]);
    let row = &desk.objects("list", &[])[0];
    let place = format!("{}:{}", row["partition"], row["offset"]);
    let shown = &desk.objects("show", &[&place])[0];
    assert_eq!(shown["reason"], "missing_field");
    assert_eq!(shown["key"]["hex"], "ff");
    assert_eq!(shown["value"], r#"{"order":7,"state":"paid"}"#);
    assert_eq!(
        shown["headers"][0],
        serde_json::json!({"name": "h", "value": null})
    );
    assert_eq!(shown["now"]["outcome"], "dead_letter");
    assert_eq!(shown["now"]["reason"], "missing_field");

    let mended = desk.scenario.config().route(&format!(
        r#"topics = ["{}"]
        id = "coordinates"
        type = "/state"
        source_type = "literal:order"
        source_id = "/order""#,
        desk.scenario.topic
    ));
    mended.write(&desk.dir.path().join("bridge.toml"));
    let now = &desk.objects("show", &[&place])[0]["now"];
    assert_eq!(now["outcome"], "ready");
    assert_eq!(now["channels"], serde_json::json!(["events:order:7"]));
    let id = format!("{}-0-0", desk.scenario.topic);
    let expected = serde_json::json!({"id": id, "type": "paid", "source_id": "7", "replayed": true});
    assert_eq!(now["notification"], expected);
    assert_eq!(desk.depth(), 1, "looking changes nothing");
}

#[test]
fn a_letter_that_is_not_there_is_a_wrong_command_line() {
    let desk = Desk::with(Scenario::new(require_kafka!(), 1), vec![NewRecord::of("poison")]);
    for place in ["0:999", "99:0", "x", "0"] {
        let outcome = desk.dlq("show", &[place]);
        assert_eq!(outcome.code, 64, "{outcome:?}");
        assert!(outcome.stdout.is_empty());
    }
}

#[test]
fn what_somebody_else_has_written_there_is_no_trouble() {
    let scenario = Scenario::new(require_kafka!(), 1);
    scenario.kafka.create_topic(&scenario.dlq(), 1, &[]);
    let foreign = NewRecord::of("theirs")
        .header("a", Some(b"b"))
        .header("__dlq.errors.offset", Some(b"x"));
    scenario
        .kafka
        .produce(&scenario.dlq(), [foreign, NewRecord::tombstone()]);
    let desk = Desk::new(scenario);
    let rows = desk.objects("list", &["--oldest"]);
    assert_eq!(rows.len(), 2);
    assert_eq!(
        (&rows[0]["reason"], &rows[0]["source"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(rows[1]["value_bytes"], Value::Null);
    assert_eq!(desk.objects("show", &["0:0"])[0]["now"]["outcome"], "unknown");
    assert_eq!(desk.depth(), 2);
    assert!(desk.objects("list", &["--reason", "invalid_json"]).is_empty());
}

#[test]
fn without_a_queue_there_is_nothing_to_see_and_the_depth_is_0() {
    let desk = Desk::new(Scenario::new(require_kafka!(), 1));
    assert!(desk.listed(&[]).is_empty());
    assert_eq!(desk.depth(), 0);
    let outcome = desk.dlq("purge", &["--all", "--yes"]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert!(outcome.stderr.contains(&desk.scenario.dlq()), "{outcome:?}");
    assert_eq!(
        desk.scenario.kafka.partitions(&desk.scenario.dlq()),
        0,
        "looking creates nothing"
    );
}

#[test]
fn purge_refuses_where_nobody_can_be_asked() {
    let desk = Desk::with(Scenario::new(require_kafka!(), 1), ten());
    let outcome = desk.dlq("purge", &["--all"]);
    assert_eq!(outcome.code, 64, "{outcome:?}");
    assert!(
        outcome.stderr.contains("10 dead letters") && outcome.stderr.contains("--yes"),
        "{outcome:?}"
    );
    assert_eq!(desk.dlq("purge", &["--yes"]).code, 64, "it has to be said what");
    assert_eq!(desk.depth(), 10);
}

#[test]
fn purge_asks_at_a_terminal_and_takes_no_for_an_answer() {
    let desk = Desk::with(Scenario::new(require_kafka!(), 1), ten());
    for (answer, left) in [("n", 10), ("", 10), ("y", 0)] {
        let said = at_a_terminal(
            &["dlq", "purge", "--all", "--config", &desk.file("bridge.toml")],
            answer,
        );
        assert!(said.contains("[y/N]"), "{said}");
        assert_eq!(desk.depth(), left, "{answer:?}: {said}");
    }
}

/// Runs a command at a terminal of its own (util-linux' `script`) and answers its question.
fn at_a_terminal(args: &[&str], answer: &str) -> String {
    let line = [&[support::cli::binary().as_str()], args].concat().join(" ");
    let mut child = std::process::Command::new("script")
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .envs(
            command()
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("util-linux' script is installed");
    let mut stdin = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, format!("{answer}\n").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    drop(stdin);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn purge_deletes_up_to_an_offset_a_time_or_all_and_says_what_it_did() {
    let scenario = Scenario::new(require_kafka!(), 1);
    scenario.kafka.create_topic(&scenario.dlq(), 2, &[]);
    let hour = 3_600_000;
    let now = jiff::Timestamp::now().as_millisecond();
    for partition in 0..2 {
        let letters = (0..5).map(|n| NewRecord::of("x").to(partition).at(now - (10 - n) * hour));
        scenario.kafka.produce(&scenario.dlq(), letters);
    }
    let desk = Desk::new(scenario);
    let purge = |flags: &[&str]| desk.objects("purge", &[flags, &["--yes"]].concat());
    let done = |partition: i32, deleted: u64, log_start: i64| serde_json::json!({"partition": partition, "deleted": deleted, "log_start": log_start});
    assert_eq!(purge(&["--before", "0:2"]), [done(0, 2, 2)]);
    assert_eq!(desk.depth(), 8);
    assert_eq!(purge(&["--before-time", "7h30m"]), [done(0, 1, 3), done(1, 3, 3)]);
    assert_eq!(desk.depth(), 4);
    assert!(
        purge(&["--before", "1:1", "--before", "0:3"]).is_empty(),
        "gone already"
    );
    assert_eq!(
        purge(&["--before", "1:999"]),
        [done(1, 2, 5)],
        "no further than the end"
    );
    assert_eq!(purge(&["--all"]), [done(0, 2, 5)]);
    assert_eq!(desk.depth(), 0);
    assert!(purge(&["--all"]).is_empty());
}

#[test]
fn kafka_out_of_reach_is_69_and_a_wrong_configuration_78() {
    let scenario = Scenario::new(require_kafka!(), 1);
    let nobody = support::redis::free_port();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bridge.toml");
    let away = Config::new(&scenario.kafka, &scenario.group, &["t"], "redis://localhost")
        .set("kafka.bootstrap_servers", format!("127.0.0.1:{nobody}"))
        .set("kafka.startup_timeout", "1s");
    away.write(&file);
    let file = file.to_string_lossy();
    for command in [
        vec!["list"],
        vec!["show", "0:0"],
        vec!["stats"],
        vec!["purge", "--all"],
    ] {
        let line = [&["dlq"], command.as_slice(), &["--config", &file]].concat();
        let outcome = run_cli(&line, SOON);
        assert_eq!(outcome.code, 69, "{outcome:?}");
    }
    std::fs::write(&*file, "[kafka]\nwrong = 1\n").unwrap();
    assert_eq!(run_cli(&["dlq", "stats", "--config", &file], SOON).code, 78);
}
