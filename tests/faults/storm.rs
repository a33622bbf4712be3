//! Random faults, then quiet. Which faults, in which order, how long each lasts and what lies between follows from the
//! seed before the storm begins.

mod damage;

use std::collections::VecDeque;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::setting::Setting;
use super::support::wait;
use super::trial::LONG;
use damage::{Fault, KINDS, Storm};

/// So long after the end of a fault a record may still come twice: detected, taken over, delivered.
const AFTERMATH: Duration = Duration::from_secs(20);

/// A fault that is to come.
#[derive(Debug, Clone, Copy)]
struct Planned {
    /// How long after the one before.
    rest: Duration,
    fault: Fault,
    lasts: Duration,
    /// Which copy, where it is about one of them.
    lot: u64,
}

/// Faults of one kind, one after the other.
struct Lane {
    to_come: VecDeque<Planned>,
    /// When the next step is due.
    due: Instant,
    /// The fault that lasts, and the number of its disturbance.
    under_way: Option<(Fault, usize)>,
    /// What was broken is being put right.
    repair: Option<(JoinHandle<()>, usize)>,
}

/// Disturbances and when their aftermaths are over.
type Aftermaths = Vec<(Instant, usize)>;

/// Faults for so long, then quiet.
pub fn rages(setting: &Setting, duration: Duration) {
    let plans = KINDS.map(|kind| forecast(setting, kind, duration));
    let mut storm = Storm::gather(setting);
    let end = Instant::now() + duration;
    let mut lanes = plans.map(Lane::new);
    let mut aftermaths = Aftermaths::new();
    wait::until_true("the storm is over", duration + LONG, || {
        for lane in &mut lanes {
            lane.step(&mut storm, end, &mut aftermaths);
        }
        let calm = Instant::now();
        aftermaths.retain(|(over, number)| {
            if *over <= calm {
                storm.calm(*number);
            }
            *over > calm
        });
        calm >= end && lanes.iter().all(Lane::is_quiet)
    });
    storm.quiet();
}

/// The faults of one kind: enough for the whole time.
fn forecast(setting: &Setting, kind: &[Fault], duration: Duration) -> VecDeque<Planned> {
    let between = |from: u64, to: u64| Duration::from_millis(from + setting.random(to - from));
    let mut planned = VecDeque::new();
    let mut now = Duration::ZERO;
    while now < duration {
        let next = Planned {
            rest: between(2_000, 12_000),
            fault: kind[usize::try_from(setting.random(kind.len() as u64)).unwrap()],
            lasts: between(500, 10_000),
            lot: setting.random(u64::MAX),
        };
        now += next.rest + next.lasts;
        planned.push_back(next);
    }
    planned
}

impl Lane {
    fn new(to_come: VecDeque<Planned>) -> Self {
        let mut lane = Self {
            to_come,
            due: Instant::now(),
            under_way: None,
            repair: None,
        };
        lane.rest();
        lane
    }

    fn rest(&mut self) {
        let rest = self.to_come.front().map(|next| next.rest);
        self.due = Instant::now() + rest.unwrap_or_default();
    }

    /// Begins or ends a fault when that is due. Nothing begins after `end`.
    fn step(&mut self, storm: &mut Storm<'_>, end: Instant, aftermaths: &mut Aftermaths) {
        if let Some((repair, number)) = self.repair.take_if(|(repair, _)| repair.is_finished()) {
            repair.join().expect("what was broken is put right");
            self.over(number, aftermaths);
        }
        let now = Instant::now();
        if self.repair.is_some() || now < self.due {
            return;
        }
        if let Some((fault, number)) = self.under_way.take() {
            match storm.end(fault) {
                Some(repair) => self.repair = Some((repair, number)),
                None => self.over(number, aftermaths),
            }
        } else if now < end
            && let Some(next) = self.to_come.pop_front()
        {
            let number = storm.begin(next.fault, next.lasts, next.lot);
            self.under_way = Some((next.fault, number));
            self.due = Instant::now() + next.lasts;
        }
    }

    fn over(&mut self, number: usize, aftermaths: &mut Aftermaths) {
        aftermaths.push((Instant::now() + AFTERMATH, number));
        self.rest();
    }

    fn is_quiet(&self) -> bool {
        self.under_way.is_none() && self.repair.is_none()
    }
}
