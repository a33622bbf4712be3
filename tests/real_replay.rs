//! `replay`: a range of a topic goes out again, and the service never notices.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use support::bridge::Bridge;
use support::cli::{Outcome, run_cli};
use support::producer::NewRecord;
use support::scenario::Scenario;

const SOON: Duration = Duration::from_secs(35);

/// A topic with a group that has read it, and the configuration of both.
struct Past {
    scenario: Scenario,
    _dir: tempfile::TempDir,
    file: String,
}

impl Past {
    /// These records are in the topic, and the service has published them already.
    fn of(scenario: Scenario, records: impl IntoIterator<Item = NewRecord>) -> Self {
        let config = scenario.config();
        let mut bridge = Bridge::start(&config);
        scenario.kafka.produce(&scenario.topic, records);
        scenario.wait_committed_to_end(SOON);
        bridge.stop_cleanly();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bridge.toml");
        config.write(&path);
        Self {
            scenario,
            file: path.to_str().unwrap().to_owned(),
            _dir: dir,
        }
    }

    /// Replays; the offsets of the group and its dead letters are as before, and the summary adds up.
    #[track_caller]
    fn replay(&self, flags: &[&str]) -> (Outcome, Value) {
        let scenario = &self.scenario;
        let before = (scenario.committed(), scenario.kafka.ends(&scenario.dlq()));
        let arguments = ["replay", "--config", &self.file, "--topic", &scenario.topic];
        let outcome = run_cli(&[&arguments, flags].concat(), SOON);
        let after = (scenario.committed(), scenario.kafka.ends(&scenario.dlq()));
        assert_eq!(after, before, "the group's offsets and its dead letters");
        let text = if flags.contains(&"--dry-run") {
            &outcome.stderr
        } else {
            &outcome.stdout
        };
        let last = text.lines().last().unwrap_or_default();
        let summary: Value = serde_json::from_str(last).unwrap_or_else(|_| panic!("no summary: {outcome:?}"));
        let count = |name: &str| {
            summary[name]
                .as_u64()
                .unwrap_or_else(|| panic!("{name}: {summary}"))
        };
        let parts = [
            "published",
            "filtered",
            "tombstones",
            "failed",
            "denied",
            "unfinished",
        ];
        assert_eq!(
            count("read"),
            parts.into_iter().map(count).sum::<u64>(),
            "{summary}"
        );
        (outcome, summary)
    }

    /// What has been heard since `from`, by id.
    fn heard_since(&self, from: usize) -> Vec<String> {
        let scenario = &self.scenario;
        scenario.rig.recorder.barrier(&scenario.rig.redis);
        scenario.rig.recorder.notes()[from..]
            .iter()
            .map(|note| note.id())
            .collect()
    }
}

/// When the record with this number was written: ten hours ago (retention is near), a second after the one before.
fn time(number: i64) -> jiff::Timestamp {
    static START: std::sync::LazyLock<jiff::Timestamp> =
        std::sync::LazyLock::new(|| jiff::Timestamp::now() - jiff::SignedDuration::from_hours(10));
    *START + jiff::SignedDuration::from_secs(number)
}

/// The record with this number.
fn record(number: i64) -> NewRecord {
    let (kind, source) = (
        ["a", "b"][(number % 2) as usize],
        ["org", "repo"][(number / 2 % 2) as usize],
    );
    NewRecord::of(format!(
        r#"{{"id":"n{number}","type":"{kind}","source_type":"{source}","source_id":"s{}"}}"#,
        number % 5
    ))
    .to(0)
    .at(time(number).as_millisecond())
}

fn ids(numbers: impl IntoIterator<Item = i64>) -> Vec<String> {
    numbers.into_iter().map(|number| format!("n{number}")).collect()
}

#[test]
fn a_range_by_offset_goes_out_again_in_order_and_marked() {
    let past = Past::of(Scenario::new(require_kafka!(), 1), (0..100).map(record));
    let (outcome, summary) = past.replay(&["--from", "20", "--to", "50"]);
    assert_eq!(
        (outcome.code, summary["published"].as_u64()),
        (0, Some(30)),
        "{outcome:?}"
    );
    assert_eq!(past.heard_since(100), ids(20..50));
    for note in &past.scenario.rig.recorder.notes()[100..] {
        assert_eq!(note.json()["replayed"], true);
    }
    let (outcome, _) = past.replay(&["--from", "98", "--unmarked"]);
    assert_eq!((outcome.code, past.heard_since(130)), (0, ids(98..100)));
    assert_eq!(
        past.scenario.rig.recorder.notes()[130].json().get("replayed"),
        None
    );
}

#[test]
fn a_range_by_time_begins_at_the_first_record_of_that_time_and_ends_before_the_other() {
    let past = Past::of(Scenario::new(require_kafka!(), 2), (0..100).map(record));
    let at = |number| format!("{:.3}", time(number));
    let (from, to) = (at(10), at(20));
    let (outcome, _) = past.replay(&["--from", &from, "--to", &to]);
    assert_eq!(
        (outcome.code, past.heard_since(100)),
        (0, ids(10..20)),
        "{outcome:?}"
    );
    let (outcome, summary) = past.replay(&["--from", "2100-01-01T00:00:00Z"]);
    assert_eq!(
        (outcome.code, summary["read"].as_u64()),
        (0, Some(0)),
        "{outcome:?}"
    );
}

#[test]
fn only_what_is_asked_for_goes_out() {
    let past = Past::of(Scenario::new(require_kafka!(), 1), (0..40).map(record));
    let (_, summary) = past.replay(&["--from", "earliest", "--type", "b", "--source-type", "repo"]);
    assert_eq!(
        (summary["published"].as_u64(), summary["filtered"].as_u64()),
        (Some(10), Some(30))
    );
    assert_eq!(past.heard_since(40), ids((0..40).filter(|n| n % 4 == 3)));
    past.replay(&["--from", "earliest", "--source-id", "s1", "--source-id", "s2"]);
    assert_eq!(
        past.heard_since(50),
        ids((0..40).filter(|n| [1, 2].contains(&(n % 5))))
    );
}

#[test]
fn what_can_not_be_derived_is_counted_and_shown_and_no_dead_letter_once_more() {
    let records = [
        record(0),
        NewRecord::of("poison").to(0),
        NewRecord::tombstone().to(0),
        record(3),
    ];
    let past = Past::of(Scenario::new(require_kafka!(), 1), records);
    let (outcome, summary) = past.replay(&["--from", "earliest"]);
    assert_eq!(outcome.code, 65, "{outcome:?}");
    let count = |name: &str| summary[name].as_u64().unwrap();
    assert_eq!(
        (count("published"), count("failed"), count("tombstones")),
        (2, 1, 1)
    );
    assert!(
        outcome.stderr.contains("[0]@1: invalid_json"),
        "{}",
        outcome.stderr
    );
    assert_eq!(past.scenario.dead_letters().len(), 1);
}

#[test]
fn a_dry_run_shows_the_notifications_and_publishes_none() {
    let past = Past::of(Scenario::new(require_kafka!(), 1), (0..10).map(record));
    let (outcome, summary) = past.replay(&["--from", "5", "--dry-run"]);
    assert_eq!(
        (outcome.code, summary["published"].as_u64()),
        (0, Some(5)),
        "{outcome:?}"
    );
    let lines: Vec<Value> = outcome
        .stdout
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let shown: Vec<&str> = lines
        .iter()
        .map(|l| l["notification"]["id"].as_str().unwrap())
        .collect();
    assert_eq!(shown, ids(5..10));
    assert_eq!(lines[0]["channels"][0], "events:org:s0");
    assert_eq!(past.heard_since(10), Vec::<String>::new());
}

#[test]
fn a_large_range_is_pipelined_and_a_rate_holds_it_back() {
    let scenario = Scenario::new(require_kafka!(), 4);
    let numbered = (0..30_000).map(|n| record(n).to((n % 4) as i32));
    let past = Past::of(scenario, numbered);
    let (outcome, summary) = past.replay(&["--from", "earliest"]);
    assert_eq!((outcome.code, summary["published"].as_u64()), (0, Some(30_000)));
    let seconds = summary["seconds"].as_f64().unwrap();
    assert!(seconds < 10.0, "30,000 records took {seconds} s");
    let heard: BTreeSet<String> = past.heard_since(30_000).into_iter().collect();
    assert_eq!(heard.len(), 30_000);
    let (_, summary) = past.replay(&["--from", "0", "--to", "100", "--rate", "100"]);
    assert_eq!(summary["published"].as_u64(), Some(400));
    let seconds = summary["seconds"].as_f64().unwrap();
    assert!(
        (3.0..20.0).contains(&seconds),
        "400 records at 100/s took {seconds} s"
    );
}

#[test]
fn a_range_without_sense_is_a_usage_error() {
    for flags in [
        ["--from", "5", "--to", "5"],
        ["--from", "latest", "--to", "latest"],
        ["--from", "0", "--to", "earliest"],
        ["--from", "2026-01-02T00:00:00Z", "--to", "2026-01-01T00:00:00Z"],
    ] {
        let outcome = run_cli(&[&["replay", "--topic", "t"][..], &flags].concat(), SOON);
        assert_eq!(outcome.code, 64, "{outcome:?}");
    }
}
