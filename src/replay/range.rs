//! Replays a range of a topic: derives its records and publishes them again. The group and its offsets are not
//! touched, and what can't be derived is counted, not dead-lettered once more.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rdkafka::message::{BorrowedMessage, Message as _};
use serde::Serialize;

use super::outlet::Outlet;
use super::pace::Pace;
use crate::config::Config;
use crate::derive::{CommandSink, Derivation, Deriver, Limits, Options, Route, Router, Skip, Wanted};
use crate::exit::Failure;
use crate::source::message::{MessageHeaders, record};
use crate::source::range::{Reading, Step};

const STEP: Duration = Duration::from_millis(20);

/// What is published.
#[derive(Debug, Clone)]
pub struct Choice {
    /// Which records.
    pub wanted: Wanted,
    /// Without `"replayed":true`.
    pub unmarked: bool,
}

/// How many records became what; `read` is the sum of the others but `notifications`, always.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Records that were read.
    pub read: u64,
    /// Published on every channel, or with `--dry-run` ready for it.
    pub published: u64,
    /// Not wanted.
    pub filtered: u64,
    /// Without a value.
    pub tombstones: u64,
    /// Can't be derived.
    pub failed: u64,
    /// Redis refuses a channel.
    pub denied: u64,
    /// Without an answer at the end.
    pub unfinished: u64,
    /// Commands for all that was begun.
    pub notifications: u64,
}

/// What became of a record that goes nowhere.
pub type OnRecord<'a> = &'a mut dyn FnMut(&BorrowedMessage<'_>, &Derivation) -> Result<(), Failure>;

/// Derives the records of one topic.
pub struct Source {
    route: Arc<Route>,
    deriver: Deriver,
    choice: Choice,
}

impl Source {
    /// As `config` serves `topic`.
    pub fn new(config: &Config, topic: &str, choice: Choice) -> Result<Self, Failure> {
        let router = Router::compile(&config.kafka.topics, &config.routes).map_err(|problems| {
            let messages: Vec<_> = problems.into_iter().map(|problem| problem.message).collect();
            Failure::config(messages.join("\n"))
        })?;
        let route = router.route_for(topic).ok_or_else(|| {
            Failure::config(format!("routes: none serves {topic}; add it to a route's topics"))
        })?;
        let limits = Limits {
            max_notification_bytes: config.delivery.max_notification_bytes,
        };
        Ok(Self {
            route,
            deriver: Deriver::new(limits).passing_on(config.trace.pass_on()),
            choice,
        })
    }

    /// Derives one record.
    pub fn derive(&mut self, message: &BorrowedMessage<'_>, sink: &mut impl CommandSink) -> Derivation {
        let headers = MessageHeaders::of(message);
        let record = record(message, message.topic(), &headers);
        let options = Options {
            replayed: !self.choice.unmarked,
            wanted: Some(&self.choice.wanted),
            ..Options::default()
        };
        self.deriver.derive(&self.route, &record, options, sink)
    }
}

impl Tally {
    /// A record was derived; what is ready is unfinished until it is answered.
    pub fn derived(&mut self, derivation: &Derivation) {
        self.read += 1;
        *match derivation {
            Derivation::Ready { commands } => {
                self.notifications += u64::from(*commands);
                &mut self.unfinished
            }
            Derivation::Skip(Skip::Filtered) => &mut self.filtered,
            Derivation::Skip(Skip::Tombstone) => &mut self.tombstones,
            Derivation::Reject(_) => &mut self.failed,
        } += 1;
    }

    /// A record that was ready is published, or denied.
    pub fn answered(&mut self, published: bool) {
        self.unfinished -= 1;
        *match published {
            true => &mut self.published,
            false => &mut self.denied,
        } += 1;
    }

    /// Whether something could not be published.
    pub fn has_failures(&self) -> bool {
        self.failed + self.denied > 0
    }
}

/// A replay under way.
pub struct Replay<'a> {
    /// Derives.
    pub source: Source,
    /// What is read.
    pub reading: Reading,
    /// Where it goes.
    pub outlet: Outlet,
    /// How many a second.
    pub rate: Option<NonZeroU32>,
    /// Ends it early.
    pub stop: Arc<AtomicBool>,
    /// Told of every record that goes nowhere.
    pub on_record: OnRecord<'a>,
    /// Told what has been done so far.
    pub on_progress: &'a mut dyn FnMut(&Tally),
}

impl Replay<'_> {
    /// Publishes all of it; the tally holds also when that fails.
    pub fn run(mut self) -> (Tally, Result<(), Failure>) {
        let mut tally = Tally::default();
        let result = self.read(&mut tally).and_then(|()| self.drain(&mut tally));
        (self.on_progress)(&tally);
        (tally, result)
    }

    fn read(&mut self, tally: &mut Tally) -> Result<(), Failure> {
        let mut pace = Pace::new(self.rate);
        while !self.stop.load(Ordering::Relaxed) {
            let wait = pace.wait(Instant::now()).unwrap_or(Duration::ZERO);
            if !wait.is_zero() {
                self.outlet.flush();
                self.take_answers(wait, tally)?;
                if self.outlet.is_idle() {
                    std::thread::sleep(pace.wait(Instant::now()).unwrap_or(Duration::ZERO));
                }
                continue;
            }
            let wait = if self.outlet.has_room() {
                Duration::ZERO
            } else {
                STEP
            };
            self.take_answers(wait, tally)?;
            if !self.outlet.has_room() {
                continue;
            }
            match self.reading.step()? {
                Step::Record(message) => {
                    let derivation = self.source.derive(&message, self.outlet.sink());
                    tally.derived(&derivation);
                    if let Derivation::Ready { commands } = derivation {
                        pace.count(Instant::now());
                        let slot = message.partition().unsigned_abs();
                        self.outlet.enter(slot, message.offset(), commands);
                    } else {
                        (self.on_record)(&message, &derivation)?;
                    }
                }
                Step::Waiting => self.outlet.flush(),
                Step::End => break,
            }
        }
        Ok(())
    }

    fn drain(&mut self, tally: &mut Tally) -> Result<(), Failure> {
        while !self.outlet.is_idle() {
            self.outlet.flush();
            self.take_answers(STEP, tally)?;
        }
        Ok(())
    }

    fn take_answers(&mut self, wait: Duration, tally: &mut Tally) -> Result<(), Failure> {
        let taken = self
            .outlet
            .take_answers(wait, |answer| tally.answered(answer.published));
        (self.on_progress)(tally);
        taken
    }
}
