//! Polling with a deadline.

use std::time::{Duration, Instant};

/// How long a poll rests between two looks.
const STEP: Duration = Duration::from_millis(20);

/// Asks `probe` until it answers `Some`, or panics with `what` at the deadline.
#[track_caller]
pub fn until<T>(what: &str, deadline: Duration, probe: impl FnMut() -> Option<T>) -> T {
    match poll(deadline, probe) {
        Some(found) => found,
        None => panic!("not within {deadline:?}: {what}"),
    }
}

/// Waits until `condition` is true, or panics with `what` at the deadline.
#[track_caller]
pub fn until_true(what: &str, deadline: Duration, mut condition: impl FnMut() -> bool) {
    until(what, deadline, || condition().then_some(()));
}

/// Asks `probe` until it answers `Some`; `None` when the deadline passes first.
pub fn poll<T>(deadline: Duration, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + deadline;
    loop {
        if let Some(found) = probe() {
            return Some(found);
        }
        if Instant::now() >= end {
            return None;
        }
        std::thread::sleep(STEP);
    }
}

/// Lets a fault last for `duration`, and panics as soon as `condition` stops being true meanwhile.
#[track_caller]
pub fn holds(what: &str, duration: Duration, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + duration;
    loop {
        assert!(condition(), "did not hold for {duration:?}: {what}");
        if Instant::now() >= end {
            return;
        }
        std::thread::sleep(STEP);
    }
}
