//! `check`: is the configuration right, and with `--connect`, does what it names answer?
//!
//! Joins no group, commits nothing, creates nothing; all it writes is one probe to `redis.probe_channel`.

mod kafka;
mod redis;
mod report;

use std::io::Write as _;

use clap::Args;

use super::arguments::ConfigArguments;
use super::outcome::is_read;
use crate::config::{Config, Mode};
use crate::exit::{Exit, Failure};
use crate::observe::logging;
use report::Report;

/// Shown behind `--help`.
pub const EXAMPLES: &str = "\
Examples:
  kafka-redis-bridge check --config bridge.toml
  kafka-redis-bridge check --config bridge.toml --print > effective.toml
  kafka-redis-bridge check --config bridge.toml --connect
  kafka-redis-bridge check --connect --bootstrap-servers localhost:9092 --topic orders \\
      --redis-url redis://localhost

--connect joins no group, commits nothing and creates nothing. All that it writes is one probe to
redis.probe_channel.

Exit codes: 0 all is well; 64 usage; 69 Kafka or Redis out of reach; 78 something has to be configured:
a key, a topic, a password, a permission.";

/// Arguments of `check`.
#[derive(Debug, Args)]
pub struct CheckArguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// Print the effective configuration on stdout, every key, secrets masked
    #[arg(long)]
    print: bool,
    /// Also try Kafka (topics, group, dead-letter topic) and Redis (role, permission, one probe)
    #[arg(long)]
    connect: bool,
}

/// Checks what was asked for.
pub fn run(arguments: &CheckArguments) -> Result<Exit, Failure> {
    let config = arguments.config.load()?;
    logging::start(&config.log);
    if arguments.print {
        is_read(std::io::stdout().write_all(config.effective_toml().as_bytes()))?;
    }
    eprintln!("configuration ok: {}", summary(&config));
    if !arguments.connect {
        return Ok(Exit::Ok);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::software(format!("no runtime: {error}")))?;
    Ok(runtime.block_on(connect(&config)))
}

/// Both at once, so that the slower one alone says how long it takes.
async fn connect(config: &Config) -> Exit {
    let (mut kafka, mut redis) = (Report::new("kafka"), Report::new("redis"));
    tokio::join!(
        kafka::check(config, &mut kafka),
        redis::check(&config.redis, &mut redis)
    );
    report::worst(kafka.exit(), redis.exit())
}

fn summary(config: &Config) -> String {
    let mode = match config.delivery.mode {
        Mode::BestEffort => "best_effort",
        Mode::AtLeastOnce => "at_least_once",
    };
    let routes = match config.routes.len() {
        0 => "the default envelope".to_owned(),
        1 => "1 route".to_owned(),
        n => format!("{n} routes"),
    };
    format!(
        "group {} reads {} from {} with {routes}, publishes to {} ({mode}), dead letters go to {}",
        config.kafka.group_id,
        config.kafka.topics.join(", "),
        config.kafka.bootstrap_servers,
        config.redis.url,
        config.dlq.topic
    )
}
