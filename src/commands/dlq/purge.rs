//! `dlq purge`: deletes dead letters for good.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _, Write as _};

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use super::queue::Queue;
use super::show::Place;
use super::{QueueArguments, is_for_programs};
use crate::commands::outcome::is_read;
use crate::commands::text::table;
use crate::dlq::depth::PartitionDepth;
use crate::dlq::filter::Moment;
use crate::dlq::purge::{Deleted, delete_before};
use crate::exit::{Exit, Failure};
use crate::progress::Position;

/// Shown behind `--help`.
pub const EXAMPLES: &str = "\
Examples:
  kafka-redis-bridge dlq purge --config bridge.toml --before-time 30d
  kafka-redis-bridge dlq purge --config bridge.toml --before 3:17 --before 4:20
  kafka-redis-bridge dlq purge --config bridge.toml --all --yes

What is deleted is gone, resolved or not: Kafka moves the start of the log. Asks first; where nobody
can be asked, --yes has to be given. The user needs Delete on the dead-letter topic.

Exit codes: 0 done, also when there was nothing to delete or the answer was no; 64 usage, such as no
--yes where nobody can be asked; 69 Kafka out of reach, or not everything was deleted;
78 configuration or permission.";

/// Arguments of `dlq purge`.
#[derive(Debug, Args)]
pub struct PurgeArguments {
    #[command(flatten)]
    queue: QueueArguments,
    #[command(flatten)]
    what: What,
    /// Don't ask
    #[arg(short, long)]
    yes: bool,
    /// Print JSON lines, as is done without being asked when the output is piped
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct What {
    /// Those written before this time: RFC 3339, or how long ago, such as 30d
    #[arg(long, value_name = "TIME")]
    before_time: Option<Moment>,
    /// Those of a partition before this one, which stays; may be repeated
    #[arg(long, value_name = "PARTITION:OFFSET")]
    before: Vec<Place>,
    /// All that there are now
    #[arg(long)]
    all: bool,
}

/// What became of a partition.
#[derive(Debug, Serialize)]
struct Done {
    partition: i32,
    deleted: u64,
    log_start: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Deletes.
pub fn run(arguments: &PurgeArguments) -> Result<Exit, Failure> {
    let queue = Queue::open(arguments.queue.load()?)?;
    let targets = targets(&queue, &arguments.what)?;
    if targets.is_empty() {
        eprintln!("nothing to delete on {}", queue.topic());
        return Ok(Exit::Ok);
    }
    if !arguments.yes && !confirmed(&queue, &targets)? {
        eprintln!("nothing was deleted");
        return Ok(Exit::Ok);
    }
    let answers = delete_before(&queue.config.kafka, queue.topic(), &targets)?;
    let done: Vec<Done> = answers.iter().map(|answer| done(&queue, answer)).collect();
    let printed = match is_for_programs(arguments.json) {
        true => lines(&done),
        false => sheet(&done),
    };
    is_read(printed)?;
    let deleted: u64 = done.iter().map(|done| done.deleted).sum();
    eprintln!("{deleted} dead letters deleted from {}", queue.topic());
    match answers.into_iter().find_map(|answer| answer.result.err()) {
        None => Ok(Exit::Ok),
        Some(failure) => Err(failure),
    }
}

/// Where each partition is to begin, of those where that changes anything.
fn targets(queue: &Queue, what: &What) -> Result<BTreeMap<i32, Position>, Failure> {
    let partitions = &queue.depth.partitions;
    let numbers: Vec<i32> = partitions.keys().copied().collect();
    let mut wanted = BTreeMap::new();
    if let Some(Moment(time)) = what.before_time.filter(|_| !numbers.is_empty()) {
        wanted = first_at(queue, &numbers, time)?;
    }
    for place in &what.before {
        if !numbers.is_empty() && !partitions.contains_key(&place.partition) {
            return Err(Failure::new(
                Exit::Usage,
                format!("--before: {} has {} partitions", queue.topic(), numbers.len()),
            ));
        }
        let position = wanted.entry(place.partition).or_insert(Position(place.offset));
        *position = Position(place.offset).max(*position);
    }
    let target = |(&number, partition): (&i32, &PartitionDepth)| {
        let log = partition.log();
        let position = match what.all {
            true => log.end,
            false => wanted.get(&number)?.min(&log.end).to_owned(),
        };
        (position > log.start).then_some((number, position))
    };
    Ok(partitions.iter().filter_map(target).collect())
}

/// The first letter of that time or later; the end where none is that young.
fn first_at(queue: &Queue, numbers: &[i32], time: Timestamp) -> Result<BTreeMap<i32, Position>, Failure> {
    let found = queue.reader()?.at(numbers, time)?;
    let end = |number| {
        queue
            .depth
            .partitions
            .get(&number)
            .map(|partition| partition.log().end)
    };
    Ok(found
        .into_iter()
        .filter_map(|(number, position)| Some((number, position.or_else(|| end(number))?)))
        .collect())
}

/// Asks whoever is at the terminal.
fn confirmed(queue: &Queue, targets: &BTreeMap<i32, Position>) -> Result<bool, Failure> {
    let sum = |count: &dyn Fn(&PartitionDepth, Position) -> u64| -> u64 {
        let partition =
            |(number, &to): (&i32, &Position)| Some(count(queue.depth.partitions.get(number)?, to));
        targets.iter().filter_map(partition).sum()
    };
    let letters = sum(&|partition, to| to.0.abs_diff(partition.log().start.0));
    let open = sum(&|partition, to| partition.open_before(to));
    let what = format!("{letters} dead letters of {}, {open} of them open", queue.topic());
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(Failure::new(
            Exit::Usage,
            format!("this would delete {what}; nobody can be asked here, so give --yes to delete them"),
        ));
    }
    eprint!("Delete {what}, for good? [y/N] ");
    let mut answer = String::new();
    io::stdin()
        .read_line(&mut answer)
        .map_err(|error| Failure::software(format!("stdin: {error}")))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn done(queue: &Queue, answer: &Deleted) -> Done {
    let partition = queue.depth.partitions.get(&answer.partition);
    let before = partition.map_or(Position(0), |partition| partition.log().start);
    let (start, error) = match &answer.result {
        Ok(start) => (*start, None),
        Err(failure) => (before, Some(failure.message.clone())),
    };
    Done {
        partition: answer.partition,
        deleted: u64::try_from(start.0 - before.0).unwrap_or(0),
        log_start: start.0,
        error,
    }
}

fn lines(done: &[Done]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for done in done {
        writeln!(out, "{}", serde_json::to_string(done)?)?;
    }
    out.flush()
}

fn sheet(done: &[Done]) -> io::Result<()> {
    let row = |done: &Done| {
        vec![
            done.partition.to_string(),
            done.deleted.to_string(),
            done.log_start.to_string(),
            done.error.clone().unwrap_or_default(),
        ]
    };
    let titles = ["partition", "deleted", "begins at", ""];
    writeln!(
        io::stdout(),
        "{}",
        table(&titles, done.iter().map(row)).trim_fmt()
    )
}
