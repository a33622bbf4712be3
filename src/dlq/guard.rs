//! The flood guard of one partition: a topic of the wrong format must not be copied whole into the dead-letter
//! queue. Pure; the caller says what time it is.

use std::time::{Duration, Instant};

/// So many records are looked at to judge the share of dead letters among them.
const RECENT: u32 = 1000;
/// So many good records in a row end the guard.
const GOOD_RUN: u32 = 10;

/// What the guard allows (`dlq.guard`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Allowance {
    /// Dead letters in a row before the guard begins.
    pub burst: u32,
    /// Dead letters admitted each second while it lasts.
    pub rate: f64,
    /// The share of dead letters among recent records at which it begins as well.
    pub share: f64,
}

/// Whether a dead letter may be written now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Yes.
    Now,
    /// Not before then; the partition waits.
    At(Instant),
}

/// What the guard knows of a partition.
#[derive(Debug, Clone, Copy)]
pub struct Guard {
    allowance: Allowance,
    dead_in_a_row: u32,
    good_in_a_row: u32,
    recent: u32,
    recent_dead: u32,
    /// While the guard lasts: when the next dead letter may be written.
    next: Option<Instant>,
}

impl Guard {
    /// Nothing seen yet.
    pub fn new(allowance: Allowance) -> Self {
        Self {
            allowance,
            dead_in_a_row: 0,
            good_in_a_row: 0,
            recent: 0,
            recent_dead: 0,
            next: None,
        }
    }

    /// Whether it lasts.
    pub fn is_active(&self) -> bool {
        self.next.is_some()
    }

    /// A good record was seen. Returns whether that ended the guard.
    pub fn good(&mut self) -> bool {
        self.dead_in_a_row = 0;
        self.good_in_a_row = self.good_in_a_row.saturating_add(1);
        self.count(0);
        if self.next.is_some() && self.good_in_a_row >= GOOD_RUN {
            *self = Self::new(self.allowance);
            return true;
        }
        false
    }

    /// A dead letter is about to be written: counts it when it is admitted.
    pub fn admit(&mut self, now: Instant) -> Admission {
        self.good_in_a_row = 0;
        match self.next {
            Some(next) if next > now => return Admission::At(next),
            Some(_) => self.next = Some(now + self.interval()),
            None => {}
        }
        self.dead_in_a_row = self.dead_in_a_row.saturating_add(1);
        self.count(1);
        if self.next.is_none() && (self.dead_in_a_row >= self.allowance.burst || self.is_share_too_large()) {
            self.next = Some(now + self.interval());
        }
        Admission::Now
    }

    fn count(&mut self, dead: u32) {
        if self.recent >= RECENT {
            // Old records count half, again and again.
            self.recent /= 2;
            self.recent_dead /= 2;
        }
        self.recent += 1;
        self.recent_dead += dead;
    }

    fn is_share_too_large(&self) -> bool {
        self.recent >= RECENT / 2
            && self.recent_dead >= self.allowance.burst
            && f64::from(self.recent_dead) > self.allowance.share * f64::from(self.recent)
    }

    fn interval(&self) -> Duration {
        Duration::try_from_secs_f64(1.0 / self.allowance.rate).unwrap_or(Duration::MAX / 4)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALLOWANCE: Allowance = Allowance {
        burst: 100,
        rate: 1.0,
        share: 0.5,
    };

    #[test]
    fn a_burst_is_admitted_and_then_one_each_second() {
        let mut guard = Guard::new(ALLOWANCE);
        let now = Instant::now();
        for _ in 0..100 {
            assert_eq!(guard.admit(now), Admission::Now);
        }
        assert!(guard.is_active());
        let next = now + Duration::from_secs(1);
        assert_eq!(guard.admit(now), Admission::At(next));
        assert_eq!(guard.admit(next), Admission::Now);
        assert_eq!(guard.admit(next), Admission::At(next + Duration::from_secs(1)));
    }

    #[test]
    fn the_first_run_of_good_records_ends_it() {
        let mut guard = Guard::new(ALLOWANCE);
        let now = Instant::now();
        for _ in 0..100 {
            guard.admit(now);
        }
        for _ in 1..GOOD_RUN {
            assert!(!guard.good());
        }
        assert!(guard.good());
        assert_eq!(guard.admit(now), Admission::Now);
    }

    #[test]
    fn a_few_dead_letters_among_good_records_never_begin_it() {
        let mut guard = Guard::new(ALLOWANCE);
        let now = Instant::now();
        for i in 0..100_000 {
            if i % 50 == 0 {
                assert_eq!(guard.admit(now), Admission::Now);
            } else {
                guard.good();
            }
        }
        assert!(!guard.is_active());
    }

    #[test]
    fn more_dead_letters_than_good_records_begin_it_even_when_mixed() {
        let mut guard = Guard::new(ALLOWANCE);
        let now = Instant::now();
        let mut admitted = 0;
        for i in 0..10_000 {
            if i % 4 == 0 {
                guard.good();
            } else if guard.admit(now) == Admission::Now {
                admitted += 1;
            }
        }
        assert!(guard.is_active());
        assert!(admitted < 1000, "{admitted}");
    }

    proptest! {
        #[test]
        fn never_admits_more_than_burst_and_rate_of_pure_poison(gaps in prop::collection::vec(0u64..3000, 1..500)) {
            let mut guard = Guard::new(ALLOWANCE);
            let start = Instant::now();
            let mut now = start;
            let mut admitted = 0u64;
            for gap in gaps {
                now += Duration::from_millis(gap);
                if guard.admit(now) == Admission::Now {
                    admitted += 1;
                }
                let limit = 100 + (now - start).as_secs();
                prop_assert!(admitted <= limit, "{} > {}", admitted, limit);
            }
        }
    }
}
