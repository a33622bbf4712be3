//! `--rate`: so many records a second. Pure; the caller says what time it is.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

/// A pause may be made up for, but no more than this at once.
const SLACK: Duration = Duration::from_millis(100);

/// When the next record may go.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    interval: Option<Duration>,
    next: Option<Instant>,
}

impl Pace {
    /// So many a second; `None` is as fast as it goes.
    pub fn new(rate: Option<NonZeroU32>) -> Self {
        Self {
            interval: rate.map(|rate| Duration::from_secs(1) / rate.get()),
            next: None,
        }
    }

    /// How long the next record has to wait; `None` when it may go.
    pub fn wait(&self, now: Instant) -> Option<Duration> {
        self.next
            .map(|next| next.saturating_duration_since(now))
            .filter(|wait| !wait.is_zero())
    }

    /// A record goes.
    pub fn count(&mut self, now: Instant) {
        if let Some(interval) = self.interval {
            let due = self.next.unwrap_or(now);
            self.next = Some(due.max(now.checked_sub(SLACK).unwrap_or(now)) + interval);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn without_a_rate_nothing_waits() {
        let mut pace = Pace::new(None);
        let now = Instant::now();
        pace.count(now);
        assert_eq!(pace.wait(now), None);
    }

    proptest! {
        #[test]
        fn never_goes_faster_than_the_rate(rate in 1u32..2000, steps in prop::collection::vec(0u64..50, 1..400)) {
            let mut pace = Pace::new(NonZeroU32::new(rate));
            let start = Instant::now();
            let mut now = start;
            let mut gone = 0u64;
            for step in steps {
                now += Duration::from_millis(step);
                while pace.wait(now).is_none() {
                    pace.count(now);
                    gone += 1;
                }
            }
            let most = ((now - start) + SLACK).as_secs_f64() * f64::from(rate) + 2.0;
            prop_assert!(gone as f64 <= most, "{} > {}", gone, most);
        }
    }
}
