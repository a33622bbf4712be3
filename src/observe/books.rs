//! The books: every record that was consumed is settled or in flight, on every scrape.
//!
//! The polling thread keeps a [`Ledger`] and publishes a copy, with the number of records that its progress
//! trackers hold at that moment. All three families are read from one copy, so that a scrape never sees half of a
//! step.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounterVec, IntGauge, Opts};
use serde::Serialize;

use crate::derive::{Reason, Skip};

/// What became of a record. The labels `outcome` and `reason` of `records_settled_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Every channel answered.
    Published,
    /// Not meant for anybody.
    Skipped(SkipReason),
    /// The dead-letter queue has acknowledged it.
    DeadLettered(Reason),
    /// Given up by policy (`best_effort`).
    Dropped(DropReason),
    /// Left to another copy.
    Abandoned(AbandonReason),
}

/// Why a record is skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SkipReason {
    /// Its value is null.
    Tombstone,
    /// Older than `delivery.max_age`.
    TooOld,
    /// No route serves its topic.
    NoRoute,
    /// A filter says so (`routes.filter` is reserved; always zero today).
    Filtered,
}

/// Why a record is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// Redis was known to be down.
    RedisDown,
    /// Tried for `delivery.retry_for`.
    RetryExhausted,
    /// The Redis user may not publish to the channel.
    ChannelDenied,
}

/// Why a record is left to another copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AbandonReason {
    /// The group has given the partition away.
    AssignmentLost,
    /// It could not be settled within `delivery.drain_timeout`.
    Deadline,
}

impl From<Skip> for SkipReason {
    fn from(skip: Skip) -> Self {
        match skip {
            Skip::Tombstone => Self::Tombstone,
            Skip::Filtered => Self::Filtered,
        }
    }
}

impl Outcome {
    /// The values of the labels `outcome` and `reason`.
    pub fn labels(self) -> (&'static str, &'static str) {
        match self {
            Self::Published => ("published", ""),
            Self::Skipped(SkipReason::Tombstone) => ("skipped", "tombstone"),
            Self::Skipped(SkipReason::TooOld) => ("skipped", "too_old"),
            Self::Skipped(SkipReason::NoRoute) => ("skipped", "no_route"),
            Self::Skipped(SkipReason::Filtered) => ("skipped", "filtered"),
            Self::DeadLettered(reason) => ("dead_lettered", reason.as_str()),
            Self::Dropped(DropReason::RedisDown) => ("dropped", "redis_down"),
            Self::Dropped(DropReason::RetryExhausted) => ("dropped", "retry_exhausted"),
            Self::Dropped(DropReason::ChannelDenied) => ("dropped", "channel_denied"),
            Self::Abandoned(AbandonReason::AssignmentLost) => ("abandoned", "assignment_lost"),
            Self::Abandoned(AbandonReason::Deadline) => ("abandoned", "deadline"),
        }
    }
}

/// A topic in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TopicId(usize);

#[derive(Debug, Clone, Default)]
struct TopicBooks {
    name: Arc<str>,
    consumed: u64,
    published: u64,
    others: HashMap<Outcome, u64>,
}

#[derive(Debug, Clone, Default)]
struct Page {
    topics: Vec<TopicBooks>,
    in_flight: u64,
}

/// What became of all records since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Read from Kafka.
    pub consumed: u64,
    /// See [`Outcome::Published`].
    pub published: u64,
    /// See [`Outcome::Skipped`].
    pub skipped: u64,
    /// See [`Outcome::DeadLettered`].
    pub dead_lettered: u64,
    /// See [`Outcome::Dropped`].
    pub dropped: u64,
    /// See [`Outcome::Abandoned`].
    pub abandoned: u64,
}

/// The books of the polling thread.
#[derive(Debug)]
pub struct Ledger {
    page: Page,
    changed: bool,
    shared: Arc<Mutex<Page>>,
}

impl Ledger {
    /// Empty books, and what shows them to a registry.
    pub fn new() -> prometheus::Result<(Self, Books)> {
        let shared = Arc::new(Mutex::new(Page::default()));
        let books = Books::new(Arc::clone(&shared))?;
        Ok((
            Self {
                page: Page::default(),
                changed: false,
                shared,
            },
            books,
        ))
    }

    /// Looks a topic up, or enters it.
    pub fn topic(&mut self, name: &Arc<str>) -> TopicId {
        let known = self.page.topics.iter().position(|topic| topic.name == *name);
        TopicId(known.unwrap_or_else(|| {
            self.page.topics.push(TopicBooks {
                name: Arc::clone(name),
                ..TopicBooks::default()
            });
            self.page.topics.len() - 1
        }))
    }

    /// A record was read.
    pub fn consumed(&mut self, topic: TopicId) {
        self.page.topics[topic.0].consumed += 1;
        self.changed = true;
    }

    /// Records are settled.
    pub fn settled(&mut self, topic: TopicId, outcome: Outcome, records: u64) {
        if records == 0 {
            return;
        }
        let topic = &mut self.page.topics[topic.0];
        match outcome {
            Outcome::Published => topic.published += records,
            other => *topic.others.entry(other).or_default() += records,
        }
        self.changed = true;
    }

    /// What is held has changed though nothing was entered.
    pub fn touch(&mut self) {
        self.changed = true;
    }

    /// All topics together.
    pub fn totals(&self) -> Totals {
        Totals::of(&self.page)
    }

    /// Whether anything was entered since the last [`Ledger::publish`].
    pub fn is_changed(&self) -> bool {
        self.changed
    }

    /// Shows the books as they stand: `in_flight` is the number of records held right now.
    pub fn publish(&mut self, in_flight: u64) {
        self.page.in_flight = in_flight;
        self.changed = false;
        self.shared
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone_from(&self.page);
    }
}

impl Totals {
    fn of(page: &Page) -> Self {
        let mut totals = Self::default();
        for topic in &page.topics {
            totals.consumed += topic.consumed;
            totals.published += topic.published;
            for (outcome, records) in &topic.others {
                *totals.of_outcome(*outcome) += records;
            }
        }
        totals
    }

    fn of_outcome(&mut self, outcome: Outcome) -> &mut u64 {
        match outcome {
            Outcome::Published => &mut self.published,
            Outcome::Skipped(_) => &mut self.skipped,
            Outcome::DeadLettered(_) => &mut self.dead_lettered,
            Outcome::Dropped(_) => &mut self.dropped,
            Outcome::Abandoned(_) => &mut self.abandoned,
        }
    }

    /// Records that need nothing more.
    pub fn settled(&self) -> u64 {
        self.published + self.skipped + self.dead_lettered + self.dropped + self.abandoned
    }
}

/// Reads the page that was published last.
#[derive(Debug, Clone)]
pub struct Reader(Arc<Mutex<Page>>);

impl Reader {
    /// All topics together.
    pub fn totals(&self) -> Totals {
        Totals::of(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Shows the books to a registry.
pub struct Books {
    shared: Arc<Mutex<Page>>,
    consumed: IntCounterVec,
    settled: IntCounterVec,
    in_flight: IntGauge,
}

impl Books {
    /// For whoever wants the totals.
    pub fn reader(&self) -> Reader {
        Reader(Arc::clone(&self.shared))
    }

    fn new(shared: Arc<Mutex<Page>>) -> prometheus::Result<Self> {
        use super::metrics::{NAMESPACE, help};
        let opts = |name: &str| Opts::new(name, help(name)).namespace(NAMESPACE);
        Ok(Self {
            shared,
            consumed: IntCounterVec::new(opts("records_consumed_total"), &["topic"])?,
            settled: IntCounterVec::new(opts("records_settled_total"), &["topic", "outcome", "reason"])?,
            in_flight: IntGauge::with_opts(opts("records_in_flight"))?,
        })
    }
}

impl Collector for Books {
    fn desc(&self) -> Vec<&Desc> {
        [self.consumed.desc(), self.settled.desc(), self.in_flight.desc()].concat()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        // Held until the end: the vectors below are filled anew for each scrape, one scrape at a time.
        let page = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        self.consumed.reset();
        self.settled.reset();
        for topic in &page.topics {
            self.consumed
                .with_label_values(&[&*topic.name])
                .inc_by(topic.consumed);
            let published = Outcome::Published.labels();
            self.settled
                .with_label_values(&[&*topic.name, published.0, published.1])
                .inc_by(topic.published);
            for (outcome, &records) in &topic.others {
                let (outcome, reason) = outcome.labels();
                self.settled
                    .with_label_values(&[&*topic.name, outcome, reason])
                    .inc_by(records);
            }
        }
        self.in_flight
            .set(i64::try_from(page.in_flight).unwrap_or(i64::MAX));
        [
            self.consumed.collect(),
            self.settled.collect(),
            self.in_flight.collect(),
        ]
        .concat()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_scrape_shows_the_page_that_was_published_and_nothing_later() {
        let (mut ledger, books) = Ledger::new().unwrap();
        let topic = ledger.topic(&Arc::from("a"));
        for _ in 0..3 {
            ledger.consumed(topic);
        }
        ledger.settled(topic, Outcome::Published, 1);
        ledger.publish(2);
        ledger.consumed(topic);
        let sum = |families: &[MetricFamily], name: &str| -> f64 {
            let family = families.iter().find(|f| f.name().ends_with(name)).unwrap();
            family
                .get_metric()
                .iter()
                .map(|m| m.get_counter().get_value() + m.get_gauge().get_value())
                .sum()
        };
        for _ in 0..2 {
            let families = books.collect();
            let settled = sum(&families, "records_settled_total");
            assert_eq!(
                sum(&families, "records_consumed_total"),
                settled + sum(&families, "records_in_flight")
            );
            assert_eq!(settled, 1.0);
        }
    }
}
