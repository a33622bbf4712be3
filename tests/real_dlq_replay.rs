//! `dlq replay`: dead letters try again, each counts until it is resolved, and nothing is done twice without need.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;
use support::bridge::Bridge;
use support::cli::run_cli;
use support::letters::Letters;
use support::producer::NewRecord;
use support::scenario::Scenario;
use support::wait;

const SOON: Duration = Duration::from_secs(30);

fn ids(numbers: impl Iterator<Item = usize>) -> BTreeSet<String> {
    numbers.map(|number| format!("n{number}")).collect()
}

#[test]
fn once_the_configuration_is_right_every_letter_is_published_marked_and_resolved() {
    let letters = Letters::new(Scenario::new(require_kafka!(), 3), 500, 4);
    let (outcome, summary) = letters.replay(&[]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert_eq!(
        (summary["read"].as_u64(), summary["replayed"].as_u64()),
        (Some(500), Some(500))
    );
    assert_eq!(letters.depth(), 0);
    let heard = letters.heard();
    assert_eq!(heard.len(), 500);
    assert_eq!(heard.iter().cloned().collect::<BTreeSet<_>>(), ids(0..500));
    for note in letters.scenario.rig.recorder.notes() {
        assert_eq!(note.json()["replayed"], true, "{}", note.payload);
        assert_eq!(
            note.channel,
            format!("events:s:{}", note.json()["source_id"].as_str().unwrap())
        );
    }
    assert_eq!(letters.letters().len(), 500, "nothing is written");
    let (outcome, summary) = letters.replay(&[]);
    assert_eq!((outcome.code, summary["read"].as_u64()), (0, Some(0)));
}

#[test]
fn killed_halfway_and_run_again_all_is_resolved_and_only_what_was_not_committed_is_repeated() {
    let letters = Letters::new(Scenario::new(require_kafka!(), 3), 8000, 4);
    let mut first = letters.spawn(&["--rate", "2000"]);
    letters.scenario.rig.wait_distinct(4000, SOON);
    first.kill().unwrap();
    first.wait().unwrap();
    let heard_before = letters.heard().len();
    let committed = 8000 - letters.depth();
    assert!(committed > 0, "it commits while it works");
    let (outcome, summary) = letters.replay(&[]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert_eq!(summary["read"].as_u64(), Some(8000 - committed));
    assert_eq!(letters.depth(), 0);
    let heard = letters.heard();
    assert_eq!(heard.iter().cloned().collect::<BTreeSet<_>>(), ids(0..8000));
    // Every repeated one had been published and not yet committed: at most one interval's worth and what was in flight.
    let repeated = heard.len() - 8000;
    assert_eq!(repeated as u64, heard_before as u64 - committed);
    assert!(repeated <= 2000 * 2, "{repeated} repeated");
}

#[test]
fn what_the_filter_leaves_out_stays_unresolved_and_counted() {
    let letters = Letters::new(Scenario::new(require_kafka!(), 2), 90, 3);
    let (outcome, summary) = letters.replay(&["--key", "k1"]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert_eq!(
        (summary["replayed"].as_u64(), summary["filtered"].as_u64()),
        (Some(30), Some(60))
    );
    assert_eq!(letters.depth(), 60);
    assert_eq!(
        letters.heard().into_iter().collect::<BTreeSet<_>>(),
        ids((0..90).filter(|n| n % 3 == 1))
    );
    let (_, summary) = letters.replay(&["--key", "k2"]);
    assert_eq!(
        (summary["replayed"].as_u64(), summary["filtered"].as_u64()),
        (Some(30), Some(30))
    );
    let (_, summary) = letters.replay(&[]);
    assert_eq!(
        (summary["read"].as_u64(), summary["replayed"].as_u64()),
        (Some(30), Some(30))
    );
    assert_eq!((letters.depth(), letters.heard().len()), (0, 90));
}

#[test]
fn more_gaps_than_a_commit_can_note_go_to_the_end_unchanged_and_stay_counted() {
    let letters = Letters::new(Scenario::new(require_kafka!(), 1), 6000, 1);
    let before: BTreeMap<_, _> = letters
        .letters()
        .into_iter()
        .map(|l| (l.value.clone(), l))
        .collect();
    let (outcome, summary) = letters.replay(&["--key", "k1"]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert_eq!(
        (summary["replayed"].as_u64(), summary["filtered"].as_u64()),
        (Some(2000), Some(4000))
    );
    let moved = summary["reappended"].as_u64().unwrap();
    assert!(moved > 0 && moved < 4000, "{moved}");
    assert_eq!(letters.depth(), 4000);
    let all = letters.letters();
    assert_eq!(all.len() as u64, 6000 + moved);
    for copy in all.iter().filter(|letter| letter.offset >= 6000) {
        let original = &before[&copy.value];
        assert_eq!((&copy.key, &copy.headers), (&original.key, &original.headers));
    }
    let (_, summary) = letters.replay(&[]);
    assert_eq!(summary["replayed"].as_u64(), Some(4000));
    assert_eq!((letters.depth(), letters.heard().len()), (0, 6000));
}

#[test]
fn a_second_replay_is_refused_while_one_is_under_way() {
    let letters = Letters::new(Scenario::new(require_kafka!(), 1), 300, 2);
    let mut first = letters.spawn(&["--rate", "10"]);
    letters.scenario.rig.wait_distinct(5, SOON);
    let second = run_cli(&letters.arguments(&[]), SOON);
    assert_eq!(second.code, 69, "{second:?}");
    assert!(
        second.stderr.contains("another dlq replay is running"),
        "{}",
        second.stderr
    );
    assert!(first.try_wait().unwrap().is_none(), "the first one goes on");
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(first.id().cast_signed()),
        nix::sys::signal::Signal::SIGINT,
    )
    .unwrap();
    let code = wait::until("it ends", SOON, || first.try_wait().unwrap()).code();
    assert_eq!(code, Some(75), "stopped before its end");
    // What was done is committed, and the group was left: the next one begins at once.
    let done = letters.heard().len();
    assert_eq!(letters.depth(), 300 - done as u64);
    let (outcome, summary) = letters.replay(&[]);
    assert_eq!(
        (outcome.code, summary["replayed"].as_u64()),
        (0, Some(300 - done as u64))
    );
    assert!(outcome.took < Duration::from_secs(8), "{:?}", outcome.took);
    assert_eq!((letters.depth(), letters.heard().len()), (0, 300));
}

#[test]
fn whoever_slips_into_the_group_meanwhile_makes_it_neither_lose_nor_repeat_anything() {
    use rdkafka::consumer::{BaseConsumer, Consumer as _};
    let letters = Letters::new(Scenario::new(require_kafka!(), 1), 2000, 4);
    let scenario = &letters.scenario;
    let mut first = letters.spawn(&["--rate", "400"]);
    scenario.rig.wait_distinct(300, SOON);
    let mut client = scenario.kafka.client();
    client.set("group.id", format!("{}.dlq-replay", scenario.group));
    client.set("partition.assignment.strategy", "range");
    let rival: BaseConsumer = client.set("enable.auto.commit", "false").create().unwrap();
    rival.subscribe(&[&scenario.dlq()]).unwrap();
    wait::until_true("the rival has its share", SOON, || {
        assert!(
            rival
                .poll(Duration::from_millis(50))
                .is_none_or(|polled| polled.is_ok())
        );
        rival.assignment().unwrap().count() > 0
    });
    let while_waiting = letters.heard().len();
    assert_eq!(
        letters.depth(),
        2000 - while_waiting as u64,
        "what was under way has arrived and is committed"
    );
    drop(rival);
    // The one with the first partition waits for the other to go; the other gives up and says so.
    let code = wait::until("it ends", SOON, || first.try_wait().unwrap()).code();
    assert!([Some(0), Some(69)].contains(&code), "{code:?}");
    let (outcome, _) = letters.replay(&[]);
    assert_eq!(
        (outcome.code, letters.depth(), letters.heard().len()),
        (0, 0, 2000),
        "{outcome:?}"
    );
}

#[test]
fn what_fails_again_counts_its_replays_and_is_parked_after_the_last() {
    let letters = Letters::new(Scenario::new(require_kafka!(), 1), 20, 1);
    let still_broken = letters.fixed.clone().set("routes", Vec::<toml::Value>::new());
    letters.configure(&still_broken);
    let first = letters.letters();
    for round in 1..=2u64 {
        let (outcome, summary) = letters.replay(&["--max-replays", "2"]);
        assert_eq!(
            (outcome.code, summary["failed_again"].as_u64()),
            (65, Some(20)),
            "{outcome:?}"
        );
        assert_eq!(letters.depth(), 20);
        let newest = &letters.letters()[20 * round as usize..];
        for (letter, original) in newest.iter().zip(&first) {
            let same = |name: &str| assert_eq!(letter.header(name), original.header(name), "{name}");
            assert_eq!(
                letter.header("kafka_redis_bridge.replay_count").unwrap(),
                round.to_string()
            );
            for name in ["topic", "partition", "offset", "group"] {
                same(&format!("__dlq.errors.{name}"));
            }
            same("kafka_redis_bridge.original_timestamp");
            assert_eq!((&letter.key, &letter.value), (&original.key, &original.value));
            assert_eq!(
                letter.headers.len(),
                original.headers.len(),
                "earlier ones are replaced"
            );
            assert_eq!(letter.headers[0], original.headers[0]);
        }
    }
    let (outcome, summary) = letters.replay(&["--max-replays", "2"]);
    assert_eq!(
        (outcome.code, summary["parked"].as_u64()),
        (0, Some(20)),
        "{outcome:?}"
    );
    assert_eq!((letters.letters().len(), letters.depth()), (60, 20));
    assert_eq!(letters.heard().len(), 0);
    letters.configure(&letters.fixed);
    let (outcome, _) = letters.replay(&["--max-replays", "3"]);
    assert_eq!((outcome.code, letters.depth(), letters.heard().len()), (0, 0, 20));
}

#[test]
fn a_dry_run_says_what_would_happen_and_changes_nothing() {
    let letters = Letters::new(Scenario::new(require_kafka!(), 2), 12, 2);
    let (outcome, summary) = letters.replay(&["--dry-run", "--key", "k0"]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert_eq!(
        (summary["replayed"].as_u64(), summary["filtered"].as_u64()),
        (Some(4), Some(8))
    );
    let lines: Vec<Value> = outcome
        .stdout
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(lines.len(), 4);
    for line in &lines {
        assert_eq!(line["outcome"], "replayed");
        assert_eq!(line["was"], "missing_field");
        assert_eq!(line["notification"]["replayed"], true);
        assert_eq!(line["channels"].as_array().unwrap().len(), 1);
    }
    assert!(letters.resolved().is_empty(), "no commit");
    assert_eq!((letters.depth(), letters.heard().len()), (12, 0));
}

#[test]
fn to_the_source_goes_the_original_record_with_one_header_that_says_so() {
    let letters = Letters::new(Scenario::new(require_kafka!(), 3), 30, 2);
    let scenario = &letters.scenario;
    let before = scenario.kafka.read(&scenario.topic);
    let (outcome, summary) = letters.replay(&["--to-source"]);
    assert_eq!(
        (outcome.code, summary["replayed"].as_u64()),
        (0, Some(30)),
        "{outcome:?}"
    );
    assert_eq!((letters.depth(), letters.heard().len()), (0, 0));
    let after = scenario.kafka.read(&scenario.topic);
    assert_eq!(after.len(), 60);
    let by_value: BTreeMap<_, _> = before.iter().map(|r| (&r.value, r)).collect();
    let ends: BTreeMap<i32, i64> = before.iter().fold(BTreeMap::new(), |mut ends, r| {
        *ends.entry(r.partition).or_default() += 1;
        ends
    });
    for copy in after.iter().filter(|r| r.offset >= ends[&r.partition]) {
        let original = by_value[&copy.value];
        assert_eq!((&copy.key, copy.partition), (&original.key, original.partition));
        let (own, ours) = copy.headers.split_at(original.headers.len());
        assert_eq!(own, original.headers);
        assert_eq!(
            ours,
            [("kafka_redis_bridge.replay_count".to_owned(), Some(b"1".to_vec()))]
        );
    }
}

#[test]
fn a_value_that_was_too_large_is_fetched_from_its_topic_and_when_it_is_gone_the_letter_stays() {
    let scenario = Scenario::new(require_kafka!(), 1);
    scenario
        .kafka
        .create_topic(&scenario.dlq(), 1, &[("max.message.bytes", "4000")]);
    let letters = Letters::new(scenario, 0, 1);
    let scenario = &letters.scenario;
    let broken = letters.fixed.clone().set("routes", Vec::<toml::Value>::new());
    let mut bridge = Bridge::start(&broken);
    let large = |id: &str| {
        let body = "x".repeat(20_000);
        NewRecord::of(format!(
            r#"{{"id":"{id}","type":"t","source_id":"s","body":"{body}"}}"#
        ))
    };
    scenario
        .kafka
        .produce(&scenario.topic, [large("gone"), large("there")]);
    scenario.wait_committed_to_end(SOON);
    bridge.stop_cleanly();
    assert_eq!(letters.letters().iter().filter(|l| l.value.is_none()).count(), 2);
    scenario.kafka.delete_records(&scenario.topic, &[(0, 1)]);
    let (outcome, summary) = letters.replay(&[]);
    assert_eq!(
        (summary["replayed"].as_u64(), summary["value_gone"].as_u64()),
        (Some(1), Some(1)),
        "{outcome:?}"
    );
    assert_eq!(
        (outcome.code, letters.depth(), letters.heard()),
        (0, 1, vec!["there".to_owned()])
    );
}

#[test]
fn a_refused_channel_fails_again_and_a_user_who_may_publish_nowhere_resolves_nothing() {
    let letters = Letters::new(Scenario::new(require_kafka!(), 1), 14, 1);
    let rig = &letters.scenario.rig;
    let grant = |channel: &str| {
        rig.redis
            .command(&["ACL", "SETUSER", "few", "reset", "on", ">pw", "+publish", channel]);
    };
    let url = rig.proxy.url().replace("redis://", "redis://few:pw@");
    letters.configure(&letters.fixed.clone().set("redis.url", url));
    grant("&none");
    let outcome = run_cli(&letters.arguments(&[]), SOON);
    assert_eq!(outcome.code, 78, "{outcome:?}");
    assert!(
        outcome.stderr.contains("refuses every channel"),
        "{}",
        outcome.stderr
    );
    assert_eq!((letters.depth(), letters.letters().len()), (14, 14));
    grant("&events:s:s3");
    let (outcome, summary) = letters.replay(&[]);
    assert_eq!(outcome.code, 65, "{outcome:?}");
    assert_eq!(
        (summary["replayed"].as_u64(), summary["failed_again"].as_u64()),
        (Some(2), Some(12))
    );
    let newest = letters.letters().split_off(14);
    for letter in &newest {
        assert_eq!(
            letter.header("kafka_redis_bridge.reason").unwrap(),
            "channel_denied"
        );
        assert_eq!(letter.header("kafka_redis_bridge.replay_count").unwrap(), "1");
    }
    letters.configure(&letters.fixed);
    let (outcome, _) = letters.replay(&[]);
    assert_eq!((outcome.code, letters.depth(), letters.heard().len()), (0, 0, 14));
}

#[test]
fn without_redis_nothing_is_resolved_and_the_exit_code_says_so() {
    let letters = Letters::new(Scenario::new(require_kafka!(), 1), 10, 1);
    letters.scenario.rig.kill_redis();
    let outcome = run_cli(&letters.arguments(&[]), SOON);
    assert_eq!(outcome.code, 69, "{outcome:?}");
    assert_eq!(letters.depth(), 10);
}
