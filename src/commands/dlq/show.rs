//! `dlq show`: one dead letter, and what would become of it now.

use std::io::Write as _;
use std::str::FromStr;

use clap::Args;

use super::json::json;
use super::page::page;
use super::queue::Queue;
use super::verdict::verdict;
use super::{QueueArguments, is_for_programs};
use crate::commands::outcome::is_read;
use crate::dlq::stored::StoredLetter;
use crate::exit::{Exit, Failure};
use crate::progress::Position;
use crate::source::range::Step;
use crate::source::span::{Span, Spans};

/// Shown behind `--help`.
pub const EXAMPLES: &str = "\
Examples:
  kafka-redis-bridge dlq show --config bridge.toml 3:17
  kafka-redis-bridge dlq show --config fixed.toml 3:17 --full
  kafka-redis-bridge dlq show --config bridge.toml 3:17 --json | jq .now

\"now\" is what dlq replay would do with this configuration: derived afresh, nothing is published.
Whether Redis accepts the channels is not asked. A value is shown as text, or as hexadecimal digits
where it is none.

Exit codes: 0 done; 64 usage, or there is no such dead letter; 69 Kafka out of reach;
78 configuration or permission.";

/// Arguments of `dlq show`.
#[derive(Debug, Args)]
pub struct ShowArguments {
    /// Its place on the dead-letter topic, as dlq list shows it
    #[arg(value_name = "PARTITION:OFFSET")]
    letter: Place,
    #[command(flatten)]
    queue: QueueArguments,
    /// Show the whole value, however long
    #[arg(long)]
    full: bool,
    /// Print a JSON object, as is done without being asked when the output is piped
    #[arg(long)]
    json: bool,
}

/// A place on the dead-letter topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
}

impl FromStr for Place {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (partition, offset) = text.split_once(':')?;
            let place = Self {
                partition: partition.parse().ok()?,
                offset: offset.parse().ok()?,
            };
            (place.partition >= 0 && place.offset >= 0).then_some(place)
        };
        parse().ok_or("write PARTITION:OFFSET, such as 3:17")
    }
}

/// Shows it.
pub fn run(arguments: &ShowArguments) -> Result<Exit, Failure> {
    let queue = Queue::open(arguments.queue.load()?)?;
    let Place { partition, offset } = arguments.letter;
    let letter = read(&queue, arguments.letter)?
        .ok_or_else(|| Failure::new(Exit::Usage, missing(&queue, arguments.letter)))?;
    let now = verdict(&queue.config, &letter)?;
    let resolved = queue.depth.is_resolved(partition, offset);
    let text = match is_for_programs(arguments.json) {
        true => json(&letter, resolved, &now).map_err(|error| Failure::software(error.to_string()))?,
        false => page(&letter, resolved, &now, arguments.full),
    };
    is_read(std::io::stdout().write_all(text.as_bytes()))?;
    Ok(Exit::Ok)
}

fn read(queue: &Queue, place: Place) -> Result<Option<StoredLetter>, Failure> {
    let known = queue.depth.partitions.get(&place.partition);
    let (start, end) = (Position(place.offset), Position(place.offset.saturating_add(1)));
    let there = known.is_some_and(|partition| start >= partition.log().start && end <= partition.log().end);
    if !there {
        return Ok(None);
    }
    let mut reading = queue
        .reader()?
        .start(&Spans::from([(place.partition, Span { start, end })]))?;
    loop {
        match reading.step()? {
            Step::Record(message) => return Ok(Some(StoredLetter::read(&message))),
            Step::Waiting => {}
            Step::End => return Ok(None),
        }
    }
}

fn missing(queue: &Queue, place: Place) -> String {
    let Place { partition, offset } = place;
    let has = match queue.depth.partitions.get(&partition) {
        None if queue.depth.partitions.is_empty() => "there is no such topic".to_owned(),
        None => format!("it has {} partitions", queue.depth.partitions.len()),
        Some(known) if known.log().is_empty() => format!("partition {partition} is empty"),
        Some(known) => {
            let log = known.log();
            format!("partition {partition} has {} to {}", log.start.0, log.end.0 - 1)
        }
    };
    format!("{} has no dead letter {partition}:{offset}: {has}", queue.topic())
}
