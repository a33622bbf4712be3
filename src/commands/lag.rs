//! `lag`: how far behind the group is, whether a copy runs or not.
//!
//! Joins no group and commits nothing.

mod describe;
mod members;
mod report;
mod start;
mod survey;

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::outcome::is_read;
use super::run::next_signal;
use crate::bridge::{find_topics, missing_text};
use crate::config::{self, Derivation, Override};
use crate::dlq::topic::partition_count;
use crate::exit::{Exit, Failure};
use crate::observe::logging;
use crate::source::topics::Topics;
use report::Report;
use survey::Surveyor;

/// Shown behind `--help`.
pub const EXAMPLES: &str = "\
Examples:
  kafka-redis-bridge lag --config bridge.toml
  kafka-redis-bridge lag --config bridge.toml --watch 5s
  kafka-redis-bridge lag --bootstrap-servers localhost:9092 --group-id dashboards
  kafka-redis-bridge lag --config bridge.toml | jq '.partitions[] | select(.lag_seconds > 60)'

All partitions that the group has committed or its topics have, whoever owns them and whether a copy runs
or not. The lag ends at the last stable offset, transaction markers don't count, and its age is that of the
next record. Unknown (– or null) is the lag of a partition whose start nobody has decided yet.
When piped, or with --json, each look is one line of JSON.

Exit codes: 0 done, or --watch was interrupted; 64 usage; 69 Kafka out of reach; 78 configuration, a topic
that doesn't exist, or a missing permission.";

/// Looks closer to each other would only keep the brokers busy.
const MIN_INTERVAL: Duration = Duration::from_millis(200);

/// Arguments of `lag`.
#[derive(Debug, Args)]
pub struct LagArguments {
    /// Configuration file (TOML), of which [kafka] and [dlq] serve
    #[arg(short, long, value_name = "FILE", env = "KAFKA_REDIS_BRIDGE_CONFIG")]
    config: Option<PathBuf>,
    /// kafka.bootstrap_servers: brokers to start from
    #[arg(long, value_name = "HOST:PORT,…")]
    bootstrap_servers: Option<String>,
    /// kafka.group_id: the consumer group
    #[arg(long, value_name = "GROUP")]
    group_id: Option<String>,
    /// kafka.topics: shown also where the group has no commit; may be repeated
    #[arg(long = "topic", value_name = "TOPIC")]
    topics: Vec<String>,
    /// Print JSON, as is done without being asked when the output is piped
    #[arg(long)]
    json: bool,
    /// Look again and again, every 2 s or as often as said
    #[arg(long, value_name = "INTERVAL", num_args = 0..=1, default_missing_value = "2s", value_parser = interval)]
    watch: Option<Duration>,
}

fn interval(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(interval) if interval < MIN_INTERVAL => Err("at least 200ms".to_owned()),
        Ok(interval) => Ok(interval),
        Err(error) => Err(error.to_string()),
    }
}

impl LagArguments {
    fn load(&self) -> Result<Derivation, Failure> {
        let mut overrides = Vec::new();
        if !self.topics.is_empty() {
            overrides.push(Override::new("kafka.topics", self.topics.clone(), "--topic"));
        }
        for (key, value, flag) in [
            (
                "kafka.bootstrap_servers",
                &self.bootstrap_servers,
                "--bootstrap-servers",
            ),
            ("kafka.group_id", &self.group_id, "--group-id"),
        ] {
            if let Some(value) = value {
                overrides.push(Override::new(key, value.as_str(), flag));
            }
        }
        let file = self.config.as_deref();
        Ok(config::load_derivation(file, std::env::vars(), overrides, true)?)
    }

    fn is_for_programs(&self) -> bool {
        self.json || !std::io::stdout().is_terminal()
    }
}

/// Looks once, or until told to end.
pub fn run(arguments: &LagArguments) -> Result<Exit, Failure> {
    let config = arguments.load()?;
    logging::start(&config.log);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::software(format!("no runtime: {error}")))?;
    let watch = arguments.watch;
    let for_programs = arguments.is_for_programs();
    let ended = runtime.block_on(async {
        let work = async {
            let topics = find(&config).await?;
            tokio::task::spawn_blocking(move || look(&config, topics, watch, for_programs))
                .await
                .map_err(|error| Failure::software(error.to_string()))?
        };
        tokio::select! {
            ended = work => ended,
            () = next_signal() => Ok(Exit::Ok),
        }
    });
    // A question that is on its way needs no answer any more.
    runtime.shutdown_background();
    ended
}

/// Waits for Kafka as long as `run` would, and wants the named topics to be there.
async fn find(config: &Derivation) -> Result<Topics, Failure> {
    let topics = Topics::new(&config.kafka.topics, &config.dlq.topic)
        .map_err(|error| Failure::config(format!("kafka.topics: {error}")))?;
    let metadata = find_topics(&config.kafka, &topics).await?;
    let is_missing = |name: &&String| partition_count(&metadata, name).is_none();
    match topics.named().iter().find(is_missing) {
        Some(name) => Err(Failure::config(missing_text(&config.kafka, name))),
        None => Ok(topics),
    }
}

fn look(
    config: &Derivation,
    topics: Topics,
    watch: Option<Duration>,
    for_programs: bool,
) -> Result<Exit, Failure> {
    let mut surveyor = Surveyor::new(config, topics)?;
    let mut is_first = true;
    loop {
        match surveyor.survey() {
            Ok(report) => {
                if !print(&report, watch.is_some(), for_programs)? {
                    return Ok(Exit::Ok);
                }
            }
            // Whoever watches wants to see how it ends.
            Err(failure) if !is_first && failure.exit == Exit::Unavailable => eprintln!("{failure}"),
            Err(failure) => return Err(failure),
        }
        let Some(interval) = watch else {
            return Ok(Exit::Ok);
        };
        is_first = false;
        std::thread::sleep(interval);
    }
}

/// Whether anybody reads on.
fn print(report: &Report, is_watched: bool, for_programs: bool) -> Result<bool, Failure> {
    let text = match for_programs {
        true => report
            .json()
            .map_err(|error| Failure::software(error.to_string()))?,
        false => report.text(),
    };
    let mut out = std::io::stdout().lock();
    let cleared = match is_watched && !for_programs {
        true => console::Term::stdout().clear_screen(),
        false => Ok(()),
    };
    is_read(
        cleared
            .and_then(|()| out.write_all(text.as_bytes()))
            .and_then(|()| out.flush()),
    )
}
