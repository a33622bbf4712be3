//! What flows during a trial, and since when.

use std::time::{Duration, Instant};

use super::support::commits::CommitWatch;
use super::support::load::Load;
use super::support::oracle::Disturbance;
use super::support::wait;
use super::trial::{LONG, PARTITIONS, Trial, UNAFFECTED};

/// A point in the run.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    at: Instant,
    /// Every record of the load with this number or a higher one was produced later.
    sequence: i64,
}

impl Default for Moment {
    fn default() -> Self {
        Self {
            at: Instant::now(),
            sequence: 0,
        }
    }
}

impl Trial<'_> {
    /// Lets records flow for a time that the seed decides.
    #[track_caller]
    pub fn goes_on(&mut self) {
        let records = 600 + usize::try_from(self.setting.random(1_800)).unwrap();
        let count = self.scenario.rig.recorder.distinct() + records;
        self.scenario.rig.wait_distinct(count, LONG);
    }

    /// Every partition delivers something new.
    #[track_caller]
    pub fn flows(&mut self) {
        self.flowed(self.now(), LONG);
    }

    fn now(&self) -> Moment {
        let written = self.load.as_ref().map_or(0, Load::written);
        let rounds = i64::try_from(written).unwrap() / i64::from(PARTITIONS);
        let sequence = if self.load.is_some() { rounds + 1 } else { 0 };
        Moment {
            at: Instant::now(),
            sequence,
        }
    }

    /// A fault begins that may make records come twice.
    pub fn fault(&mut self, what: &str) {
        self.setting.tell(what);
        self.disturbances.push(Disturbance {
            committed: self
                .commits
                .as_ref()
                .map(CommitWatch::highest)
                .unwrap_or_default(),
            from: self.scenario.rig.recorder.len(),
            until: usize::MAX,
        });
    }

    /// The fault is over; recovery counts from here.
    pub fn over(&mut self, what: &str) {
        self.setting.tell(what);
        self.fault_over = self.now();
    }

    /// Every partition delivers what was produced after the fault, within `limit` of its end. The time is measured.
    #[track_caller]
    pub fn recovers_within(&mut self, limit: Duration) {
        let took = self.flowed(self.fault_over, limit);
        self.setting
            .tell(&format!("every partition delivers, after {took:.2?}"));
        self.setting.recovered(took);
        self.calm();
    }

    /// What the last fault may have made come twice has come by now.
    pub fn calm(&mut self) {
        if let Some(last) = self.disturbances.last_mut() {
            last.until = self.scenario.rig.recorder.len();
        }
    }

    #[track_caller]
    fn flowed(&mut self, since: Moment, limit: Duration) -> Duration {
        let partitions = usize::try_from(self.scenario.partitions).unwrap();
        self.flowed_in(partitions, since, limit)
    }

    /// So many partitions, whichever, deliver something new.
    #[track_caller]
    pub fn flows_in(&mut self, partitions: usize) {
        self.flowed_in(partitions, self.now(), LONG);
    }

    #[track_caller]
    fn flowed_in(&mut self, partitions: usize, since: Moment, limit: Duration) -> Duration {
        let left = limit.saturating_sub(since.at.elapsed());
        wait::until("partitions deliver", left, || {
            self.advance();
            self.timeline.flowed_after(since.at, since.sequence, partitions)
        })
    }

    /// Enters what was heard meanwhile.
    pub(super) fn advance(&mut self) {
        let new = self.scenario.rig.recorder.since(self.place);
        self.place += new.len();
        for note in &new {
            self.timeline.enter(&note.id(), note.at);
        }
    }

    /// No partition from this one on has stood still.
    #[track_caller]
    pub fn unaffected(&self, from: i32) {
        for partition in from..self.scenario.partitions {
            let stall = self.timeline.stall_of(partition);
            assert!(
                stall < UNAFFECTED,
                "partition {partition} stood still for {stall:?}"
            );
        }
    }
}
