//! The end of the story: a table, and whether its numbers add up.

use comfy_table::{Cell, CellAlignment, Table, presets};
use indicatif::HumanCount;
use serde::Serialize;

use super::tally::{ByReason, Counts};
use crate::observe::metrics::NAMESPACE;

/// What the bridge says of itself in its last metrics.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Books {
    published: u64,
    skipped: u64,
    dead_lettered: u64,
    other: u64,
}

impl Books {
    /// Reads `records_settled_total` from what `/metrics` serves.
    pub fn read(metrics: &str) -> Self {
        let settled = format!("{NAMESPACE}_records_settled_total{{");
        let mut books = Self::default();
        for line in metrics.lines().filter(|line| line.starts_with(&settled)) {
            let records = line
                .rsplit(' ')
                .next()
                .and_then(|number| number.parse().ok())
                .unwrap_or(0);
            let is = |outcome: &str| line.contains(&format!("outcome=\"{outcome}\""));
            let sum = if is("published") {
                &mut books.published
            } else if is("skipped") {
                &mut books.skipped
            } else if is("dead_lettered") {
                &mut books.dead_lettered
            } else {
                &mut books.other
            };
            *sum += records;
        }
        books
    }
}

/// Everything that was counted.
#[derive(Debug, Serialize)]
pub struct Summary {
    produced: u64,
    published: u64,
    received: u64,
    dead_lettered: ByReason,
    skipped: u64,
    lost: u64,
    unexpected: u64,
    latency_ms: Latency,
    adds_up: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    contradictions: Vec<String>,
}

/// Percentiles in milliseconds.
#[derive(Debug, Serialize)]
struct Latency {
    p50: f64,
    p99: f64,
    max: f64,
}

impl Summary {
    /// Compares what was counted at both ends with the books of the bridge.
    pub fn new(counts: &Counts, books: &Books) -> Self {
        let contradictions = contradictions(counts, books);
        Self {
            produced: counts.produced,
            published: books.published,
            received: counts.received,
            dead_lettered: counts.letters.clone(),
            skipped: books.skipped,
            lost: counts.missing(),
            unexpected: counts.unexpected,
            latency_ms: Latency {
                p50: millis(counts.latency.value_at_quantile(0.5)),
                p99: millis(counts.latency.value_at_quantile(0.99)),
                max: millis(counts.latency.max()),
            },
            adds_up: contradictions.is_empty(),
            contradictions,
        }
    }

    /// Whether nothing was lost, and no number contradicts another.
    pub fn adds_up(&self) -> bool {
        self.adds_up
    }

    /// The table for people.
    pub fn table(&self, dlq: &str) -> String {
        let mut table = Table::new();
        table.load_preset(presets::UTF8_BORDERS_ONLY);
        let mut row = |name: &str, value: String, note: &str| {
            table.add_row([
                Cell::new(name),
                Cell::new(value).set_alignment(CellAlignment::Right),
                Cell::new(note),
            ]);
        };
        let count = |number| HumanCount(number).to_string();
        row("produced", count(self.produced), "acknowledged by Kafka");
        row("published", count(self.published), "answered by Redis");
        row(
            "received",
            count(self.received),
            "by the subscriber, every id once",
        );
        row(
            "dead letters",
            count(self.dead_letters()),
            &format!("read from {dlq}"),
        );
        for (reason, letters) in &self.dead_lettered {
            row(&format!("  {reason}"), count(*letters), "");
        }
        row(
            "skipped",
            count(self.skipped),
            "tombstones: records without a value",
        );
        row("lost", count(self.lost), "ids that the subscriber never heard of");
        let Latency { p50, p99, max } = self.latency_ms;
        let milliseconds = |value: f64| format!("{value:.1} ms");
        row("latency p50", milliseconds(p50), "from producer to subscriber");
        row(
            "        p99",
            milliseconds(p99),
            "up to 10 ms of it the embedded Kafka",
        );
        row("        max", milliseconds(max), "");
        table.to_string()
    }

    /// Whether it adds up, and what of it is good or bad news.
    pub fn verdict(&self) -> String {
        if !self.adds_up {
            return format!("It does not add up: {}.", self.contradictions.join("; "));
        }
        let count = HumanCount;
        format!(
            "It adds up: {} produced = {} published + {} dead letters + {} skipped.\nNothing lost, nothing twice.",
            count(self.produced),
            count(self.published),
            count(self.dead_letters()),
            count(self.skipped)
        )
    }

    fn dead_letters(&self) -> u64 {
        self.dead_lettered.values().sum()
    }
}

/// Every sum that doesn't come out, in words.
fn contradictions(counts: &Counts, books: &Books) -> Vec<String> {
    let dead_letters = counts.dead_letters();
    let events = counts.produced - counts.tombstones - counts.poison.values().sum::<u64>();
    let settled = books.published + books.dead_lettered + books.skipped;
    let missing = counts.missing();
    let checks = [
        (
            counts.refused == 0,
            format!("Kafka refused {} records", counts.refused),
        ),
        (
            missing == 0,
            format!("the subscriber never heard of {missing} events"),
        ),
        (
            counts.unexpected == 0,
            format!("{} notifications were not expected", counts.unexpected),
        ),
        (
            counts.received == events && books.published == events,
            format!(
                "{events} events, {} published, {} received",
                books.published, counts.received
            ),
        ),
        (
            counts.letters == counts.poison && books.dead_lettered == dead_letters,
            format!(
                "poison {:?}, dead letters {:?}, dead-lettered {}",
                counts.poison, counts.letters, books.dead_lettered
            ),
        ),
        (
            books.skipped == counts.tombstones,
            format!("{} tombstones, {} skipped", counts.tombstones, books.skipped),
        ),
        (
            settled == counts.produced && books.other == 0,
            format!(
                "{} produced, {settled} settled, {} given up",
                counts.produced, books.other
            ),
        ),
    ];
    let failed = checks.into_iter().filter(|(holds, _)| !holds);
    failed.map(|(_, words)| words).collect()
}

#[allow(
    clippy::cast_precision_loss,
    reason = "a latency in microseconds is far below 2^52"
)]
fn millis(micros: u64) -> f64 {
    micros as f64 / 1000.0
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::commands::demo::events::Fate;
    use crate::commands::demo::tally::Tally;
    use crate::derive::Reason;

    /// Two events, a poison and a tombstone were produced; the first event and the dead letter arrived.
    fn tally() -> Tally {
        let tally = Tally::new().unwrap();
        for fate in [
            Fate::Heard(1),
            Fate::Heard(2),
            Fate::DeadLetter(Reason::WrongType),
            Fate::Skipped,
        ] {
            tally.sending(fate);
            tally.produced(fate);
        }
        tally.heard(Some(1), Duration::from_millis(2));
        tally.letter("wrong_type");
        tally
    }

    fn books() -> Books {
        Books::read(
            "kafka_redis_bridge_records_consumed_total{topic=\"a\"} 4\n\
             kafka_redis_bridge_records_settled_total{outcome=\"published\",reason=\"\",topic=\"a\"} 1\n\
             kafka_redis_bridge_records_settled_total{outcome=\"published\",reason=\"\",topic=\"b\"} 1\n\
             kafka_redis_bridge_records_settled_total{outcome=\"skipped\",reason=\"tombstone\",topic=\"a\"} 1\n\
             kafka_redis_bridge_records_settled_total{outcome=\"dead_lettered\",reason=\"wrong_type\",topic=\"a\"} 1\n",
        )
    }

    #[test]
    fn what_arrived_completely_adds_up() {
        let tally = tally();
        tally.heard(Some(2), Duration::from_millis(3));
        let summary = Summary::new(&tally.look(), &books());
        assert!(summary.adds_up(), "{}", summary.verdict());
        assert_eq!(
            summary.verdict(),
            "It adds up: 4 produced = 2 published + 1 dead letters + 1 skipped.\nNothing lost, nothing twice."
        );
    }

    #[test]
    fn an_event_that_only_the_bridge_believes_delivered_is_lost() {
        let summary = Summary::new(&tally().look(), &books());
        assert_eq!(summary.lost, 1);
        assert_eq!(
            summary.verdict(),
            "It does not add up: the subscriber never heard of 1 events; 2 events, 2 published, 1 received."
        );
    }

    #[test]
    fn a_dropped_record_does_not_add_up() {
        let tally = tally();
        tally.heard(Some(2), Duration::from_millis(3));
        let mut books = books();
        books.other = 1;
        assert!(!Summary::new(&tally.look(), &books).adds_up());
    }
}
