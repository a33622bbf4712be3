//! `dlq list`: dead letters one by one.

use std::io::{self, Write as _};

use clap::Args;

use super::queue::Queue;
use super::row::Row;
use super::search::Search;
use super::{QueueArguments, is_for_programs};
use crate::commands::outcome::is_read;
use crate::commands::text::table;
use crate::dlq::filter::Filter;
use crate::exit::{Exit, Failure};

/// Shown behind `--help`.
pub const EXAMPLES: &str = "\
Examples:
  kafka-redis-bridge dlq list --config bridge.toml
  kafka-redis-bridge dlq list --config bridge.toml --reason missing_field --topic orders --since 2h
  kafka-redis-bridge dlq list --config bridge.toml --oldest --limit 1000 | jq -r .source.offset

A table on a terminal; when piped, or with --json, a JSON object for each dead letter. Those that
dlq replay has resolved are left out unless --resolved is given. Nothing is committed.

Exit codes: 0 done, also when there is none; 64 usage; 69 Kafka out of reach; 78 configuration or
permission.";

/// Arguments of `dlq list`.
#[derive(Debug, Args)]
pub struct ListArguments {
    #[command(flatten)]
    queue: QueueArguments,
    /// The oldest first, instead of the newest
    #[arg(long)]
    oldest: bool,
    /// How many at most
    #[arg(short = 'n', long, value_name = "N", default_value = "20", value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
    /// Also those that are resolved
    #[arg(long)]
    resolved: bool,
    /// Print JSON lines, as is done without being asked when the output is piped
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    filter: Filter,
}

/// Lists.
pub fn run(arguments: &ListArguments) -> Result<Exit, Failure> {
    let queue = Queue::open(arguments.queue.load()?)?;
    let search = Search {
        filter: &arguments.filter,
        resolved: arguments.resolved,
        limit: usize::try_from(arguments.limit).unwrap_or(usize::MAX),
    };
    let rows = match arguments.oldest {
        true => search.oldest(&queue)?,
        false => search.newest(&queue)?,
    };
    let printed = match is_for_programs(arguments.json) {
        true => lines(&rows),
        false => sheet(&rows),
    };
    is_read(printed)?;
    if !queue.depth.partitions.is_empty() {
        eprintln!(
            "{} shown; {} open on {}",
            rows.len(),
            queue.depth.total(),
            queue.topic()
        );
    }
    Ok(Exit::Ok)
}

fn lines(rows: &[Row]) -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    for row in rows {
        serde_json::to_writer(&mut out, row)?;
        out.write_all(b"\n")?;
    }
    out.flush()
}

fn sheet(rows: &[Row]) -> io::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(
        io::stdout(),
        "{}",
        table(&Row::TITLES, rows.iter().map(|row| row.cells().to_vec())).trim_fmt()
    )
}
