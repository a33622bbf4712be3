//! The oracle itself: it must not pass a run that lost, repeated or reordered anything.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[allow(dead_code)]
#[path = "support/oracle.rs"]
mod oracle;

use std::collections::BTreeMap;
use std::panic::catch_unwind;

use oracle::{Kill, Produced, Run, Verdict};

/// Two partitions with two keys each, heard in order.
fn good_run() -> Run {
    let produced: Vec<Produced> = (0..2)
        .flat_map(|partition| (0..10).map(move |sequence| (partition, sequence)))
        .map(|(partition, sequence)| Produced {
            partition,
            sequence,
            key: format!("k{}", sequence % 2),
        })
        .collect();
    let heard = produced.iter().map(Produced::id).collect();
    Run {
        produced,
        heard,
        ..Run::default()
    }
}

fn refused(verdict: &Verdict, check: fn(&Verdict)) -> bool {
    let verdict = verdict.clone();
    catch_unwind(move || check(&verdict)).is_err()
}

#[test]
fn a_complete_run_in_order_is_perfect() {
    good_run().judge().assert_perfect();
}

#[test]
fn a_lost_record_is_found() {
    let mut run = good_run();
    run.heard.remove(7);
    let verdict = run.judge();
    assert_eq!(verdict.lost, ["0-7"]);
    assert!(refused(&verdict, Verdict::assert_perfect));
    assert!(refused(&verdict, |v| v.assert_nothing_lost(0)));
    assert!(refused(&verdict, Verdict::assert_survived_kills));
}

#[test]
fn a_record_that_was_settled_otherwise_is_not_lost() {
    let mut run = good_run();
    let id = run.heard.remove(7);
    run.settled_otherwise.insert(id);
    run.judge().assert_perfect();
}

#[test]
fn a_duplicate_is_found() {
    let mut run = good_run();
    run.heard.push("1-3".into());
    let verdict = run.judge();
    assert_eq!(verdict.duplicates, ["1-3"]);
    assert!(verdict.disorder.is_empty());
    assert!(refused(&verdict, Verdict::assert_perfect));
    assert!(refused(&verdict, |v| v.assert_nothing_lost(0)));
    assert!(!refused(&verdict, |v| v.assert_nothing_lost(1)));
}

#[test]
fn disorder_within_a_key_is_found() {
    let mut run = good_run();
    run.heard.swap(2, 4);
    let verdict = run.judge();
    assert_eq!(verdict.disorder, [("0-4".to_owned(), "0-2".to_owned())]);
    assert!(refused(&verdict, Verdict::assert_perfect));
    assert!(refused(&verdict, |v| v.assert_only_dropped(0)));
}

#[test]
fn disorder_between_keys_and_partitions_is_allowed() {
    let mut run = good_run();
    run.heard.swap(2, 3);
    run.heard.swap(9, 10);
    run.judge().assert_perfect();
}

#[test]
fn something_never_produced_is_found() {
    let mut run = good_run();
    run.heard.push("5-5".into());
    assert!(refused(&run.judge(), Verdict::assert_perfect));
}

#[test]
fn a_duplicate_after_a_kill_must_not_have_been_committed() {
    let mut run = good_run();
    run.kills = vec![Kill {
        committed: BTreeMap::from([(0, 5), (1, 5)]),
        heard: run.heard.len(),
    }];
    run.heard.push("1-5".into());
    run.judge().assert_survived_kills();

    run.heard.push("1-4".into());
    let verdict = run.judge();
    assert_eq!(verdict.early_duplicates, ["1-4"]);
    assert!(refused(&verdict, Verdict::assert_survived_kills));
}

#[test]
fn a_kill_explains_no_duplicate_that_came_before_it() {
    let mut run = good_run();
    run.heard.push("1-9".into());
    run.kills = vec![Kill {
        committed: BTreeMap::new(),
        heard: run.heard.len(),
    }];
    assert_eq!(run.judge().early_duplicates, ["1-9"]);
}

#[test]
fn what_is_missing_must_have_been_dropped_and_little_more() {
    let mut run = good_run();
    run.heard.truncate(15);
    run.dropped = 6;
    let verdict = run.judge();
    assert!(!refused(&verdict, |v| v.assert_only_dropped(1)));
    assert!(refused(&verdict, |v| v.assert_only_dropped(0)));

    run.dropped = 4;
    assert!(refused(&run.judge(), |v| v.assert_only_dropped(100)));
}
