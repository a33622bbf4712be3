//! `dlq replay`: what could not become a notification tries again, with the present configuration.

mod dry_run;

use std::num::NonZeroU32;
use std::sync::atomic::Ordering;
use std::time::Instant;

use clap::Args;
use serde::Serialize;

use crate::bridge::find_topics;
use crate::commands::again::{
    ServiceArguments, bar, exit, reach_redis, runtime, stop_on_signal, target, tell,
};
use crate::config::Config;
use crate::dlq::depth::replay_group;
use crate::dlq::filter::Filter;
use crate::dlq::topic::{self, DlqTopic};
use crate::exit::{Exit, Failure};
use crate::replay::letters::judge::Choice;
use crate::replay::letters::tally::Tally;
use crate::replay::letters::{Plan, Replay};
use crate::source::topics::Topics;

/// Shown behind `--help`.
pub const EXAMPLES: &str = "\
Examples:
  kafka-redis-bridge dlq replay --config bridge.toml --dry-run
  kafka-redis-bridge dlq replay --config bridge.toml --reason missing_field --since 2h --rate 500
  kafka-redis-bridge dlq replay --config bridge.toml --topic orders --to-source

Takes the unresolved dead letters that there are at the start, derives each with the present configuration and
publishes it with \"replayed\":true. A letter is resolved once a Redis master has answered. One that fails again goes
back to the dead-letter topic with one replay more; after --max-replays it is parked. What the filter leaves out, and
what is parked, stays unresolved and is counted as before.

Commits as the group <group_id>.dlq-replay, once a second: a replay that was stopped or killed goes on where it was.
One at a time; a second one is refused. delivery.mode and delivery.max_age don't apply.

Exit codes: 0 done; 64 usage; 65 something failed again; 69 Kafka or Redis out of reach, or another replay runs;
75 stopped before its end, what was done is committed; 78 configuration.";

/// Arguments of `dlq replay`.
#[derive(Debug, Args)]
pub struct ReplayArguments {
    #[command(flatten)]
    service: ServiceArguments,
    #[command(flatten)]
    filter: Filter,
    /// Show what would become of each letter; publish, write and commit nothing
    #[arg(long)]
    dry_run: bool,
    /// No more than so many a second
    #[arg(long, value_name = "N")]
    rate: Option<NonZeroU32>,
    /// Letters that were replayed so often already are left alone
    #[arg(long, value_name = "N", default_value_t = 5)]
    max_replays: u32,
    /// Write the original records back to their topics, for every consumer there, instead of publishing
    #[arg(long)]
    to_source: bool,
}

/// The summary for programs.
#[derive(Serialize)]
struct Summary<'a> {
    dlq_topic: &'a str,
    group: String,
    #[serde(flatten)]
    tally: Tally,
    unresolved: u64,
    interrupted: bool,
    dry_run: bool,
    seconds: f64,
}

/// Replays.
pub fn run(arguments: &ReplayArguments) -> Result<Exit, Failure> {
    let config = arguments.service.load()?;
    let started = Instant::now();
    let choice = Choice {
        filter: arguments.filter.clone(),
        max_replays: arguments.max_replays,
        to_source: arguments.to_source,
    };
    let stop = stop_on_signal()?;
    let (tally, result) = match find(&config)? {
        None => {
            eprintln!("{} does not exist: there are no dead letters", config.dlq.topic);
            (Tally::default(), Ok(()))
        }
        Some(topic) if arguments.dry_run => dry_run::run(&config, choice, topic.partitions, &stop)?,
        Some(topic) => {
            let plan = Plan {
                choice,
                rate: arguments.rate,
                stop: stop.clone(),
            };
            replay(&config, plan, topic)?
        }
    };
    let interrupted = stop.load(Ordering::Relaxed);
    let summary = Summary {
        dlq_topic: &config.dlq.topic,
        group: replay_group(&config.kafka.group_id),
        tally,
        unresolved: tally.unresolved(),
        interrupted,
        dry_run: arguments.dry_run,
        seconds: (started.elapsed().as_secs_f64() * 1000.0).round() / 1000.0,
    };
    tell(&summary, &sentence(&summary), arguments.dry_run)?;
    exit(result, interrupted, tally.has_failures())
}

fn find(config: &Config) -> Result<Option<DlqTopic>, Failure> {
    let name = config.dlq.topic.clone();
    let topics = Topics::new(&[name], "").map_err(|error| Failure::config(format!("dlq.topic: {error}")))?;
    runtime()?.block_on(async {
        let metadata = find_topics(&config.kafka, &topics).await?;
        topic::find(config, &metadata).await
    })
}

fn replay(config: &Config, plan: Plan, topic: DlqTopic) -> Result<(Tally, Result<(), Failure>), Failure> {
    let target = target(config)?;
    if !plan.choice.to_source {
        reach_redis(&target)?;
    }
    let replay = Replay::new(config, plan, target, topic, |line| eprintln!("{line}"))?;
    let bar = bar(replay.unresolved());
    let mut show = |tally: &Tally| {
        bar.set_position(tally.read - tally.unfinished);
        if tally.failed_again > 0 {
            bar.set_message(format!("{} failed again", tally.failed_again));
        }
    };
    let ended = replay.run(&mut show);
    bar.finish_and_clear();
    Ok(ended)
}

fn sentence(summary: &Summary<'_>) -> String {
    let Summary { tally, .. } = summary;
    let parts = match tally.parts() {
        parts if parts.is_empty() => "nothing to do".to_owned(),
        parts => parts.join(", "),
    };
    let (would, stopped) = (
        if summary.dry_run { "would be: " } else { "" },
        if summary.interrupted {
            "; stopped before the end"
        } else {
            ""
        },
    );
    format!(
        "{} dead letters read: {would}{parts}; {} of them still open{stopped}",
        tally.read, summary.unresolved
    )
}
