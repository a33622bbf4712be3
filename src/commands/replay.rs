//! `replay`: derives a range of a topic and publishes it again.

mod dry_run;
mod range;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use clap::Args;
use rdkafka::message::{BorrowedMessage, Message as _};
use serde::Serialize;

use super::again::{ServiceArguments, bar, exit, reach_redis, stop_on_signal, target, tell};
use super::topic::From;
use crate::config::Config;
use crate::derive::{Derivation, Wanted};
use crate::exit::{Exit, Failure};
use crate::replay::outlet::Outlet;
use crate::replay::range::{Choice, Replay, Source, Tally};

/// Shown behind `--help`.
pub const EXAMPLES: &str = "\
Examples:
  kafka-redis-bridge replay --config bridge.toml --topic orders --from 2026-01-31T12:00:00Z --to 2026-01-31T12:30:00Z
  kafka-redis-bridge replay --config bridge.toml --topic orders --partition 3 --from 1200 --to 1300 --dry-run
  kafka-redis-bridge replay --config bridge.toml --topic orders --from earliest --source-type repo --source-id a/b

Publishes each notification with \"replayed\":true, unless --unmarked. The range ends before --to, or where the topic
ends at the start. The group, its offsets and the dead letters are left alone: what can't be derived is counted, and
the first of it is shown. delivery.mode and delivery.max_age don't apply.

Exit codes: 0 done; 64 usage; 65 some records could not be derived or published; 69 Kafka or Redis out of reach;
75 stopped before its end; 78 configuration.";

/// So many records that can't be derived are shown.
const SHOWN: u64 = 10;

/// Arguments of `replay`.
#[derive(Debug, Args)]
pub struct ReplayArguments {
    #[command(flatten)]
    service: ServiceArguments,
    /// The topic
    #[arg(short, long, value_name = "TOPIC")]
    topic: String,
    /// This partition alone
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    partition: Option<i32>,
    /// Where to begin: earliest, an offset (of each partition) or an RFC 3339 time
    #[arg(long, value_name = "WHERE")]
    from: From,
    /// Where to end, which is not part of it: latest, an offset or an RFC 3339 time
    #[arg(long, value_name = "WHERE", default_value = "latest")]
    to: From,
    /// Only records of this type; may be repeated
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<String>,
    /// Only records about this source type; may be repeated
    #[arg(long = "source-type", value_name = "TYPE")]
    source_types: Vec<String>,
    /// Only records about this source; may be repeated
    #[arg(long = "source-id", value_name = "ID")]
    source_ids: Vec<String>,
    /// Leave "replayed":true out
    #[arg(long)]
    unmarked: bool,
    /// Show what would be published; publish nothing
    #[arg(long)]
    dry_run: bool,
    /// No more than so many records a second
    #[arg(long, value_name = "N")]
    rate: Option<NonZeroU32>,
}

/// The summary for programs.
#[derive(Serialize)]
struct Summary<'a> {
    topic: &'a str,
    #[serde(flatten)]
    tally: Tally,
    interrupted: bool,
    dry_run: bool,
    seconds: f64,
}

/// Replays.
pub fn run(arguments: &ReplayArguments) -> Result<Exit, Failure> {
    let range = range::Range {
        topic: &arguments.topic,
        partition: arguments.partition,
        from: arguments.from,
        to: arguments.to,
    };
    range.check()?;
    let config = arguments.service.load()?;
    let started = Instant::now();
    let stop = stop_on_signal()?;
    let choice = Choice {
        wanted: Wanted {
            types: arguments.types.clone(),
            source_types: arguments.source_types.clone(),
            source_ids: arguments.source_ids.clone(),
        },
        unmarked: arguments.unmarked,
    };
    let source = Source::new(&config, &arguments.topic, choice)?;
    let (tally, result) = match arguments.dry_run {
        true => dry_run::run(&config, &range, source, &stop)?,
        false => replay(&config, &range, source, arguments.rate, &stop)?,
    };
    let interrupted = stop.load(Ordering::Relaxed);
    let summary = Summary {
        topic: &arguments.topic,
        tally,
        interrupted,
        dry_run: arguments.dry_run,
        seconds: (started.elapsed().as_secs_f64() * 1000.0).round() / 1000.0,
    };
    tell(&summary, &sentence(&summary), arguments.dry_run)?;
    exit(result, interrupted, tally.has_failures())
}

fn replay(
    config: &Config,
    range: &range::Range<'_>,
    source: Source,
    rate: Option<NonZeroU32>,
    stop: &Arc<AtomicBool>,
) -> Result<(Tally, Result<(), Failure>), Failure> {
    let target = target(config)?;
    reach_redis(&target)?;
    let (reading, offsets) = range.open(&config.kafka)?;
    let bar = bar(offsets);
    let mut shown = 0;
    let mut on_record = |message: &BorrowedMessage<'_>, derivation: &Derivation| {
        if let Derivation::Reject(rejection) = derivation
            && shown < SHOWN
        {
            shown += 1;
            let (topic, partition, offset) = (message.topic(), message.partition(), message.offset());
            bar.suspend(|| eprintln!("{topic}[{partition}]@{offset}: {rejection}"));
        }
        Ok(())
    };
    let mut on_progress = |tally: &Tally| bar.set_position(tally.read - tally.unfinished);
    let replay = Replay {
        source,
        reading,
        outlet: Outlet::new(config, target)?,
        rate,
        stop: Arc::clone(stop),
        on_record: &mut on_record,
        on_progress: &mut on_progress,
    };
    let ended = replay.run();
    bar.finish_and_clear();
    Ok(ended)
}

fn sentence(summary: &Summary<'_>) -> String {
    let Summary { tally, .. } = summary;
    let parts = [
        (
            tally.published,
            if summary.dry_run {
                "would be published"
            } else {
                "published"
            },
        ),
        (tally.filtered, "left out by the filter"),
        (tally.tombstones, "without a value"),
        (tally.failed, "that can't be derived"),
        (tally.denied, "with a channel that Redis refuses"),
        (tally.unfinished, "unfinished"),
    ];
    let parts: Vec<String> = parts
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    let parts = if parts.is_empty() {
        "nothing to do".to_owned()
    } else {
        parts.join(", ")
    };
    let stopped = if summary.interrupted {
        "; stopped before the end"
    } else {
        ""
    };
    format!(
        "{} records of {} read: {parts} ({} notifications){stopped}",
        tally.read, summary.topic, tally.notifications
    )
}
