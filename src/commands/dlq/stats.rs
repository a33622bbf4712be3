//! `dlq stats`: how many dead letters there are, of which reason and from where.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _, Write as _};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use serde::Serialize;

use super::queue::Queue;
use super::search::Search;
use super::{QueueArguments, is_for_programs};
use crate::commands::outcome::is_read;
use crate::commands::text::{printable, table};
use crate::dlq::filter::Filter;
use crate::dlq::stored::StoredLetter;
use crate::exit::{Exit, Failure};

/// Shown behind `--help`.
pub const EXAMPLES: &str = "\
Examples:
  kafka-redis-bridge dlq stats --config bridge.toml
  kafka-redis-bridge dlq stats --config bridge.toml --since 1h --json | jq .depth

Reads the whole queue. \"depth\" is what the metric dlq_depth_records shows: dead letters that are
neither resolved by dlq replay nor deleted, whatever is filtered.

Exit codes: 0 done, also when there is none; 64 usage; 69 Kafka out of reach; 78 configuration or
permission.";

/// Arguments of `dlq stats`.
#[derive(Debug, Args)]
pub struct StatsArguments {
    #[command(flatten)]
    queue: QueueArguments,
    /// Also those that are resolved
    #[arg(long)]
    resolved: bool,
    /// Print a JSON object, as is done without being asked when the output is piped
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    filter: Filter,
}

/// Letters of one reason from one topic.
#[derive(Debug, Default, Serialize)]
struct Tally {
    letters: u64,
    oldest: Option<Timestamp>,
    newest: Option<Timestamp>,
}

impl Tally {
    fn count(&mut self, time: Option<Timestamp>) {
        self.letters += 1;
        self.oldest = self.oldest.into_iter().chain(time).min();
        self.newest = self.newest.max(time);
    }
}

/// A tally as programs get it.
#[derive(Serialize)]
struct Named<'a> {
    reason: Option<&'a str>,
    topic: Option<&'a str>,
    #[serde(flatten)]
    tally: &'a Tally,
}

impl<'a> Named<'a> {
    fn new(((reason, topic), tally): (&'a ReasonAndTopic, &'a Tally)) -> Self {
        Self {
            reason: reason.as_deref(),
            topic: topic.as_deref(),
            tally,
        }
    }
}

#[derive(Serialize)]
struct Stats<'a> {
    dlq_topic: &'a str,
    depth: u64,
    oldest_open: Option<Timestamp>,
    letters: u64,
    oldest: Option<Timestamp>,
    newest: Option<Timestamp>,
    by_reason_and_topic: Vec<Named<'a>>,
}

type ReasonAndTopic = (Option<String>, Option<String>);
type Tallies = BTreeMap<ReasonAndTopic, Tally>;

/// Counts.
pub fn run(arguments: &StatsArguments) -> Result<Exit, Failure> {
    let mut queue = Queue::open(arguments.queue.load()?)?;
    let oldest_open = queue.oldest_ms()?;
    let oldest_open = oldest_open.and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let (tallies, all) = count(&queue, arguments)?;
    let stats = Stats {
        dlq_topic: queue.topic(),
        depth: queue.depth.total(),
        oldest_open,
        letters: all.letters,
        oldest: all.oldest,
        newest: all.newest,
        by_reason_and_topic: tallies.iter().map(Named::new).collect(),
    };
    let text = match is_for_programs(arguments.json) {
        true => serde_json::to_string(&stats).map_err(|error| Failure::software(error.to_string()))? + "\n",
        false => stats.text(),
    };
    is_read(io::stdout().write_all(text.as_bytes()))?;
    Ok(Exit::Ok)
}

fn count(queue: &Queue, arguments: &StatsArguments) -> Result<(Tallies, Tally), Failure> {
    let search = Search {
        filter: &arguments.filter,
        resolved: arguments.resolved,
        limit: usize::MAX,
    };
    let (mut tallies, mut all) = (Tallies::new(), Tally::default());
    let progress = progress();
    search.each(queue, |letter: StoredLetter| {
        progress.inc(1);
        let time = letter.time();
        all.count(time);
        let topic = letter.origin.map(|origin| origin.topic);
        tallies.entry((letter.reason, topic)).or_default().count(time);
    })?;
    progress.finish_and_clear();
    Ok((tallies, all))
}

fn progress() -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {human_pos} dead letters, {per_sec}") {
        bar.set_style(style);
    }
    bar
}

impl Stats<'_> {
    fn text(&self) -> String {
        let time = |time: Option<Timestamp>| time.map_or_else(|| "–".to_owned(), |time| format!("{time:.0}"));
        let name = |name: Option<&str>| printable(name.unwrap_or("–")).into_owned();
        let rows = self.by_reason_and_topic.iter().map(|named| {
            vec![
                name(named.reason),
                name(named.topic),
                named.tally.letters.to_string(),
                time(named.tally.oldest),
                time(named.tally.newest),
            ]
        });
        let mut text = String::new();
        if !self.by_reason_and_topic.is_empty() {
            let titles = ["reason", "topic", "letters", "oldest", "newest"];
            text = format!("{}\n", table(&titles, rows).trim_fmt());
        }
        let oldest = self
            .oldest_open
            .map_or_else(String::new, |time| format!(", the oldest of {time:.0}"));
        text + &format!("{}: {} open{oldest}\n", self.dlq_topic, self.depth)
    }
}
