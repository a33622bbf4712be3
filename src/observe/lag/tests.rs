#![allow(clippy::unwrap_used)]

use super::*;
use crate::progress::Offset;

const NOW: i64 = 1_000_000;

fn standing(generation: u32, position: i64) -> Standing {
    Standing {
        partition: (Arc::from("t"), 0),
        slot: 0,
        generation,
        committed: Position(position),
        settled: Position(position),
        oldest: Oldest::Nothing,
        is_read: true,
    }
}

fn extent(log_start: i64, end: i64) -> Extent {
    Extent {
        log_start: Position(log_start),
        end: Position(end),
    }
}

fn share(lag: &Lag, standing: Standing) -> Vec<News> {
    let findings = lag.share("g", std::iter::once(standing));
    findings.into_iter().map(|finding| finding.news).collect()
}

fn figures(lag: &Lag, generation: u32) -> (Option<u64>, Option<f64>) {
    let figures = lag.figures(NOW)[&generation];
    (figures.records, figures.seconds)
}

#[test]
fn nothing_is_said_until_the_end_is_known() {
    let lag = Lag::default();
    share(&lag, standing(1, 10));
    assert_eq!(figures(&lag, 1), (None, None));
    lag.leave_extents([(1, extent(0, 10))].into_iter());
    share(&lag, standing(1, 10));
    assert_eq!(figures(&lag, 1), (Some(0), Some(0.0)));
}

#[test]
fn an_end_is_compared_only_with_a_position_told_later() {
    let lag = Lag::default();
    share(&lag, standing(1, 10));
    lag.leave_extents([(1, extent(0, 500))].into_iter());
    assert_eq!(figures(&lag, 1), (None, None));
    share(&lag, standing(1, 500));
    assert_eq!(figures(&lag, 1), (Some(0), Some(0.0)));
}

#[test]
fn in_flight_the_oldest_record_tells_the_seconds() {
    let lag = Lag::default();
    let mut held = standing(1, 10);
    held.oldest = Oldest::At(NOW - 2500);
    lag.share("g", std::iter::once(held.clone()));
    lag.leave_extents([(1, extent(0, 30))].into_iter());
    share(&lag, held.clone());
    assert_eq!(figures(&lag, 1), (Some(20), Some(2.5)));
    assert!(lag.lagging(9).is_empty(), "what is in flight needs no look");
    // A clock that is ahead.
    held.oldest = Oldest::At(NOW + 5000);
    share(&lag, held.clone());
    assert_eq!(figures(&lag, 1), (Some(20), Some(0.0)));
    held.oldest = Oldest::Timeless;
    share(&lag, held);
    assert_eq!(figures(&lag, 1), (Some(20), None));
}

#[test]
fn what_is_settled_and_waits_for_its_commit_is_no_second_old() {
    let lag = Lag::default();
    let mut settled = standing(1, 30);
    settled.committed = Position(10);
    share(&lag, settled.clone());
    lag.leave_extents([(1, extent(0, 30))].into_iter());
    share(&lag, settled);
    assert_eq!(figures(&lag, 1), (Some(20), Some(0.0)));
}

#[test]
fn with_nothing_in_flight_the_log_tells_the_seconds_and_only_of_the_position_looked_at() {
    let lag = Lag::default();
    share(&lag, standing(1, 10));
    lag.leave_extents([(1, extent(0, 30))].into_iter());
    share(&lag, standing(1, 10));
    assert_eq!(figures(&lag, 1), (Some(20), None));
    let record = First::Record {
        offset: Offset(11),
        timestamp_ms: Some(NOW - 4000),
    };
    for (looked_at, seconds) in [(9, None), (10, Some(4.0))] {
        lag.leave_firsts([(1, (Position(looked_at), record))].into_iter());
        share(&lag, standing(1, 10));
        assert_eq!(figures(&lag, 1), (Some(20), seconds));
    }
    // Once it has caught up, that is forgotten.
    share(&lag, standing(1, 30));
    lag.leave_extents([(1, extent(0, 50))].into_iter());
    share(&lag, standing(1, 30));
    assert_eq!(figures(&lag, 1), (Some(20), None));
}

#[test]
fn an_end_without_a_record_before_it_is_news_for_whoever_stands_there() {
    let lag = Lag::default();
    let end = First::End(Position(31));
    let news = News::NothingUpTo {
        from: Position(30),
        end: Position(31),
    };
    share(&lag, standing(1, 30));
    lag.leave_firsts([(1, (Position(30), end))].into_iter());
    assert_eq!(share(&lag, standing(1, 30)), [news]);
    lag.leave_firsts([(1, (Position(30), end))].into_iter());
    assert_eq!(share(&lag, standing(1, 35)), []);
    let mut held = standing(1, 30);
    held.oldest = Oldest::At(NOW);
    lag.leave_firsts([(1, (Position(30), end))].into_iter());
    assert_eq!(share(&lag, held), []);
}

#[test]
fn a_partition_that_went_is_not_shown_whatever_comes_in_late() {
    let lag = Lag::default();
    share(&lag, standing(1, 10));
    lag.leave_extents([(1, extent(0, 30))].into_iter());
    share(&lag, standing(1, 10));
    lag.share("g", std::iter::empty());
    // The answer of a question that was on its way.
    lag.leave_extents([(1, extent(0, 40))].into_iter());
    lag.leave_firsts([(1, (Position(10), First::End(Position(40))))].into_iter());
    assert!(lag.shown(NOW).1.is_empty());
    // The partition comes back, as another assignment of it.
    assert_eq!(share(&lag, standing(2, 10)), []);
    assert_eq!(figures(&lag, 2), (None, None));
}

#[test]
fn those_are_looked_at_first_that_were_not_for_longest() {
    let lag = Lag::default();
    let standings = |n| (1..=n).map(|generation| standing(generation, 0));
    lag.share("g", standings(10));
    lag.leave_extents((1..=10).map(|generation| (generation, extent(0, 5))));
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..3 {
        lag.share("g", standings(10));
        let chosen = lag.lagging(4);
        assert_eq!(chosen.len(), 4);
        seen.extend(chosen.into_iter().map(|one| one.generation));
    }
    assert_eq!(seen.len(), 10);
}

/// In how many of so many rounds the partition is asked for.
fn times_asked(lag: &Lag, rounds: u32) -> usize {
    (0..rounds).map(|_| lag.to_ask().len()).sum()
}

#[test]
fn a_partition_read_to_its_end_is_asked_for_by_turns_and_any_other_always() {
    let known = |standing: Standing| {
        let lag = Lag::default();
        share(&lag, standing.clone());
        lag.leave_extents([(standing.generation, extent(0, 10))].into_iter());
        share(&lag, standing);
        lag
    };
    let asked = |standing: Standing| times_asked(&known(standing), 2 * QUIET_ROUNDS);
    let always = 2 * QUIET_ROUNDS as usize;
    assert_eq!(asked(standing(1, 10)), 2, "at the end");
    assert_eq!(asked(standing(1, 9)), always, "behind");
    assert_eq!(asked(standing(1, 11)), always, "read on since then");
    let mut changed = standing(1, 10);
    changed.committed = Position(4);
    assert_eq!(asked(changed.clone()), always, "not committed");
    changed = standing(1, 10);
    changed.oldest = Oldest::Timeless;
    assert_eq!(asked(changed.clone()), always, "in flight");
    changed = standing(1, 10);
    changed.is_read = false;
    assert_eq!(asked(changed), always, "paused");
    let unknown = Lag::default();
    share(&unknown, standing(1, 10));
    assert_eq!(times_asked(&unknown, 3), 3, "no end known");
}

#[test]
fn partitions_at_their_end_share_the_rounds_evenly() {
    let lag = Lag::default();
    let all = || (0..100).map(|generation| standing(generation, 10));
    lag.share("g", all());
    lag.leave_extents((0..100).map(|generation| (generation, extent(0, 10))));
    lag.share("g", all());
    for _ in 0..QUIET_ROUNDS {
        assert_eq!(lag.to_ask().len(), 100 / QUIET_ROUNDS as usize);
    }
}
