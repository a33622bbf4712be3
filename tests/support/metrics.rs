//! Reads what the bridge exports.

use std::collections::BTreeMap;

/// The prefix of every metric.
const PREFIX: &str = "kafka_redis_bridge_";

/// One scrape.
#[derive(Debug, Clone, Default)]
pub struct Scrape {
    series: Vec<Series>,
}

/// One line of a scrape.
#[derive(Debug, Clone)]
struct Series {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Scrape {
    /// Parses the text format; the prefix is left off the names.
    pub fn parse(text: &str) -> Self {
        let lines = text
            .lines()
            .filter(|line| !line.starts_with('#') && !line.trim().is_empty());
        Self {
            series: lines.filter_map(parse_line).collect(),
        }
    }

    /// The sum of the series of that name with these labels; 0 when there are none.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.matching(name, labels).map(|series| series.value).sum()
    }

    /// The sum as a count.
    pub fn count(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        self.sum(name, labels) as u64
    }

    /// Whether there is any series of that name with these labels.
    pub fn has(&self, name: &str, labels: &[(&str, &str)]) -> bool {
        self.matching(name, labels).next().is_some()
    }

    /// Records that ended with this outcome.
    pub fn settled(&self, outcome: &str) -> u64 {
        self.count("records_settled_total", &[("outcome", outcome)])
    }

    /// Records that ended with this outcome for this reason.
    pub fn settled_for(&self, outcome: &str, reason: &str) -> u64 {
        self.count(
            "records_settled_total",
            &[("outcome", outcome), ("reason", reason)],
        )
    }

    /// What is wrong with the books, or nothing.
    pub fn imbalance(&self) -> Option<String> {
        let consumed = self.count("records_consumed_total", &[]);
        let settled = self.count("records_settled_total", &[]);
        let in_flight = self.sum("records_in_flight", &[]);
        let balanced = in_flight >= 0.0 && consumed == settled + in_flight as u64;
        (!balanced).then(|| format!("consumed {consumed} != settled {settled} + in flight {in_flight}"))
    }

    /// The names of all series, without the prefix.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.series.iter().map(|series| series.name.as_str())
    }

    fn matching(&self, name: &str, labels: &[(&str, &str)]) -> impl Iterator<Item = &Series> {
        self.series.iter().filter(move |series| {
            series.name == name
                && labels
                    .iter()
                    .all(|(key, value)| series.labels.get(*key).is_some_and(|have| have == value))
        })
    }
}

fn parse_line(line: &str) -> Option<Series> {
    let (series, value) = line.rsplit_once(' ')?;
    let (name, labels) = series.split_once('{').unwrap_or((series, ""));
    let name = name.strip_prefix(PREFIX).unwrap_or(name).to_owned();
    let labels = labels
        .trim_end_matches('}')
        .split("\",")
        .filter_map(|pair| pair.split_once("=\""))
        .map(|(key, value)| (key.trim().to_owned(), value.trim_end_matches('"').to_owned()))
        .collect();
    Some(Series {
        name,
        labels,
        value: value.parse().ok()?,
    })
}
