//! The oracle itself: it must not pass a run that lost, repeated or reordered anything.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[allow(dead_code)]
#[path = "support/oracle.rs"]
mod oracle;

#[allow(dead_code)]
#[path = "support/timeline.rs"]
mod timeline;

use std::collections::BTreeMap;
use std::panic::catch_unwind;
use std::time::{Duration, Instant};

use oracle::{Disturbance, Kill, Produced, Run, Sample, Verdict, first_places};
use timeline::Timeline;

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

/// The run, looked at once when so much was committed in partition 0 and so much had been heard.
fn seen(mut run: Run, committed: i64, heard: usize) -> Verdict {
    run.samples.push(Sample {
        committed: BTreeMap::from([(0, committed)]),
        letters: Some(BTreeMap::new()),
        heard,
    });
    run.judge()
}

#[test]
fn what_is_committed_must_have_come_out() {
    assert!(seen(good_run(), 5, 5).early_commits.is_empty());
    let verdict = seen(good_run(), 5, 4);
    assert_eq!(verdict.early_commits, [(5, "0-4".to_owned())]);
    assert!(verdict.lost.is_empty() && verdict.duplicates.is_empty());
    assert!(refused(&verdict, Verdict::assert_perfect));
    assert!(refused(&verdict, |v| v.assert_nothing_lost(100)));
    assert!(refused(&verdict, Verdict::assert_survived_kills));
    assert!(refused(&verdict, |v| v.assert_only_dropped(0)));
}

#[test]
fn every_sample_is_looked_at_not_only_the_last() {
    let mut run = good_run();
    for (committed, heard) in [(2, 2), (6, 5), (8, 8)] {
        run.samples.push(Sample {
            committed: BTreeMap::from([(0, committed)]),
            letters: None,
            heard,
        });
    }
    assert_eq!(run.judge().early_commits, [(6, "0-5".to_owned())]);
}

#[test]
fn a_dead_letter_must_be_written_before_its_offset_is_committed() {
    let mut run = good_run();
    let id = run.heard.remove(3);
    run.settled_otherwise.insert(id.clone());
    run.letters.insert(id, (2, 7));
    for (end, early) in [(7, 1), (8, 0)] {
        run.samples = vec![Sample {
            committed: BTreeMap::from([(0, 4)]),
            letters: Some(BTreeMap::from([(2, end)])),
            heard: 3,
        }];
        assert_eq!(
            run.judge().early_commits.len(),
            early,
            "the letter topic ends at {end}"
        );
    }
}

#[test]
fn of_a_dead_letter_that_was_written_again_the_first_place_counts() {
    let written = [("0-3", 8), ("0-3", 5), ("0-4", 6), ("0-3", 9)];
    let places = first_places(written.map(|(id, offset)| (id.to_owned(), (2, offset))));
    assert_eq!((places["0-3"], places["0-4"]), ((2, 5), (2, 6)));
}

#[test]
fn a_commit_that_goes_back_is_found() {
    let mut run = good_run();
    for committed in [3, 5, 4] {
        run.samples.push(Sample {
            committed: BTreeMap::from([(0, committed)]),
            letters: None,
            heard: 20,
        });
    }
    let verdict = run.judge();
    assert_eq!(verdict.rewinds, [(0, 5, 4)]);
    assert!(refused(&verdict, Verdict::assert_perfect));
    assert!(refused(&verdict, |v| v.assert_only_dropped(100)));
}

#[test]
fn a_disturbance_explains_what_it_had_not_seen_committed_and_only_while_it_lasts() {
    let mut run = good_run();
    run.heard.extend(["0-4".into(), "0-5".into()]);
    let of = |committed, from, until| Disturbance {
        committed: BTreeMap::from([(0, committed)]),
        from,
        until,
    };
    for (disturbance, unexplained) in [
        (of(4, 10, 30), vec![]),
        (of(5, 10, 30), vec!["0-4"]),
        (of(4, 10, 19), vec!["0-4", "0-5"]),
        (of(4, 21, 30), vec!["0-4"]),
    ] {
        run.disturbances = vec![disturbance];
        let verdict = run.judge();
        assert_eq!(verdict.early_duplicates, unexplained);
        assert_eq!(
            refused(&verdict, Verdict::assert_survived_kills),
            !unexplained.is_empty()
        );
    }
}

#[test]
fn the_longest_silence_and_the_first_record_after_a_moment_are_measured_by_partition() {
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let mut timeline = Timeline::default();
    for (id, seconds) in [
        ("0-0", 1),
        ("1-0", 1),
        ("0-1", 2),
        ("0-1", 6),
        ("1-1", 8),
        ("0-2", 9),
        ("odd", 50),
    ] {
        timeline.enter(id, at(seconds));
    }
    assert_eq!(
        timeline.stall_of(0),
        Duration::from_secs(7),
        "what comes twice ends no silence"
    );
    assert_eq!(timeline.worst_stall(), Duration::from_secs(7));
    assert_eq!(timeline.flowed_after(at(7), 0, 2), Some(Duration::from_secs(2)));
    assert_eq!(
        timeline.flowed_after(at(7), 2, 2),
        None,
        "partition 1 had nothing as new as that"
    );
    assert_eq!(timeline.flowed_after(at(7), 2, 1), Some(Duration::from_secs(2)));
    assert_eq!(timeline.flowed_after(at(9), 0, 2), None);
}
