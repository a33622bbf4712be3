//! Keeps a fault that goes on from filling the disk: of lines that say the same, a few are told and the rest is counted.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::fmt::Debug;
use std::hash::{Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// So many lines that say the same are told within [`INTERVAL`]: a state may change, and change back.
const BURST: u32 = 3;
/// The others are counted; then the count is told, and of what goes on one line more.
const INTERVAL: Duration = Duration::from_secs(60);
/// So many different lines are told apart; beyond that they count as one.
const MAX_LINES: usize = 4096;
/// Fields that say what a line is about. In all other text, what contains a digit (an offset, a port, a duration) doesn't
/// make another line.
const SUBJECTS: [&str; 3] = ["topic", "partition", "node"];

/// Decides which lines are told. Those for debugging always are.
#[derive(Debug, Clone, Default)]
pub struct Throttle(Arc<Mutex<Table>>);

impl Throttle {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells what was left out, when its time has come, as long as there is any.
    fn tell_later(&self) {
        let throttle = self.clone();
        // Without a thread the lines stay counted, and the next one that is left out tries again.
        let spawned = std::thread::Builder::new().name("log".to_owned()).spawn(move || {
            loop {
                let next = throttle.lock().next_due(Instant::now());
                let Some(wait) = next else { break };
                std::thread::sleep(wait);
                let due = throttle.lock().take_due(Instant::now());
                due.iter().for_each(LeftOut::tell);
            }
        });
        if spawned.is_err() {
            self.lock().is_told = false;
        }
    }
}

impl<S: Subscriber> Layer<S> for Throttle {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let metadata = event.metadata();
        if *metadata.level() > Level::INFO || metadata.target() == module_path!() {
            return true;
        }
        let line = Line::of(event);
        let mut table = self.lock();
        let admitted = table.admit(line, *metadata.level(), Instant::now());
        if !admitted && !std::mem::replace(&mut table.is_told, true) {
            drop(table);
            self.tell_later();
        }
        admitted
    }
}

/// What a line says, without the numbers.
#[derive(Debug)]
struct Line {
    hasher: DefaultHasher,
    message: String,
    subjects: String,
}

impl Line {
    fn of(event: &Event<'_>) -> Self {
        let mut line = Self {
            hasher: DefaultHasher::new(),
            message: String::new(),
            subjects: String::new(),
        };
        event.metadata().callsite().hash(&mut line.hasher);
        event.record(&mut line);
        line
    }

    fn key(&self) -> u64 {
        self.hasher.finish()
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let text = format!("{value:?}");
        if SUBJECTS.contains(&field.name()) {
            text.hash(&mut self.hasher);
            self.subjects.push_str(&format!(" {field}={text}"));
        } else {
            let words = text.split(|c: char| !c.is_alphanumeric());
            words
                .filter(|word| !word.contains(|c: char| c.is_ascii_digit()))
                .for_each(|word| word.hash(&mut self.hasher));
        }
        if field.name() == "message" {
            self.message = text;
        }
    }
}

/// Lines of the last [`INTERVAL`].
#[derive(Debug, Default)]
struct Table {
    lines: HashMap<u64, Told>,
    /// Somebody will tell what is left out.
    is_told: bool,
}

#[derive(Debug)]
struct Told {
    since: Instant,
    times: u32,
    left_out: Option<LeftOut>,
}

/// Lines that said the same and were not told.
#[derive(Debug, Clone, PartialEq, Eq)]
struct LeftOut {
    level: Level,
    count: u64,
    message: String,
}

impl Table {
    fn admit(&mut self, line: Line, level: Level, now: Instant) -> bool {
        let mut key = line.key();
        if self.lines.len() >= MAX_LINES && !self.lines.contains_key(&key) {
            self.lines
                .retain(|_, told| told.left_out.is_some() || now < told.since + INTERVAL);
            if self.lines.len() >= MAX_LINES {
                key = 0;
            }
        }
        let fresh = || Told {
            since: now,
            times: 0,
            left_out: None,
        };
        let told = self.lines.entry(key).or_insert_with(fresh);
        if told.left_out.is_none() && now >= told.since + INTERVAL {
            *told = fresh();
        }
        if told.times < BURST {
            told.times += 1;
            return true;
        }
        let first = || LeftOut {
            level,
            count: 0,
            message: line.message + &line.subjects,
        };
        told.left_out.get_or_insert_with(first).count += 1;
        false
    }

    /// How long until something that was left out is to be told; nobody tells it any more when there is nothing.
    fn next_due(&mut self, now: Instant) -> Option<Duration> {
        let left_out = self.lines.values().filter(|told| told.left_out.is_some());
        let next = left_out.map(|told| told.since + INTERVAL).min();
        self.is_told = next.is_some();
        next.map(|at| at.saturating_duration_since(now))
    }

    /// What is to be told now. Of a fault that goes on, the next lines are few.
    fn take_due(&mut self, now: Instant) -> Vec<LeftOut> {
        let due = self
            .lines
            .values_mut()
            .filter(|told| now >= told.since + INTERVAL);
        due.filter_map(|told| {
            let left_out = told.left_out.take()?;
            (told.since, told.times) = (now, BURST - 1);
            Some(left_out)
        })
        .collect()
    }
}

impl LeftOut {
    fn tell(&self) {
        let Self { count, message, .. } = self;
        macro_rules! tell {
            ($level:expr) => {
                tracing::event!($level, suppressed = count, "not told again: {message}")
            };
        }
        match self.level {
            Level::ERROR => tell!(Level::ERROR),
            Level::WARN => tell!(Level::WARN),
            _ => tell!(Level::INFO),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
