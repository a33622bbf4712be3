//! The end of the story: a table, and whether its numbers add up.

use comfy_table::{Cell, CellAlignment, Table, presets};
use indicatif::HumanCount;
use serde::Serialize;

use super::tally::{ByReason, Counts};
use super::view::milliseconds;
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
            let records = line.rsplit(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0);
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
        table.load_preset(presets::UTF8_HORIZONTAL_ONLY);
        let mut row = |name: &str, value: String, note: &str| {
            table.add_row([Cell::new(name), Cell::new(value).set_alignment(CellAlignment::Right), Cell::new(note)]);
        };
        let count = |number| HumanCount(number).to_string();
        row("produced", count(self.produced), "acknowledged by Kafka");
        row("published", count(self.published), "answered by Redis");
        row("received", count(self.received), "by the subscriber, every id once");
        row("dead letters", count(self.dead_letters()), &format!("read from {dlq}"));
        for (reason, letters) in &self.dead_lettered {
            row(&format!("  {reason}"), count(*letters), "");
        }
        row("skipped", count(self.skipped), "tombstones: records without a value");
        row("lost", count(self.lost), "ids that the subscriber never heard of");
        let Latency { p50, p99, max } = self.latency_ms;
        row("latency p50", format!("{p50:.1} ms"), "from the producer's clock to the subscriber");
        row("        p99", format!("{p99:.1} ms"), "");
        row("        max", format!("{max:.1} ms"), "");
        table.to_string()
    }

    /// Whether it adds up, in one line, or one for each contradiction.
    pub fn verdict(&self) -> String {
        if !self.adds_up {
            return format!("It does not add up: {}.", self.contradictions.join("; "));
        }
        let count = HumanCount;
        format!(
            "It adds up: {} produced = {} published + {} dead letters + {} skipped. Nothing lost, nothing twice.",
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
