//! `dlq`: looks at dead letters, and gets rid of them.

mod json;
mod list;
mod page;
mod purge;
mod queue;
mod replay;
mod row;
mod search;
mod show;
mod stats;
mod verdict;

use std::io::{IsTerminal as _, stdout};
use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::config::{self, Derivation, Override};
use crate::exit::{Exit, Failure};
use crate::observe::logging;

/// Shown behind `--help`.
pub const EXAMPLES: &str = "\
Examples:
  kafka-redis-bridge dlq stats --config bridge.toml
  kafka-redis-bridge dlq list  --config bridge.toml --reason missing_field --since 2h
  kafka-redis-bridge dlq show  --config bridge.toml 3:17

A dead letter is named by its place on the dead-letter topic, PARTITION:OFFSET.";

/// Arguments of `dlq`.
#[derive(Debug, Args)]
pub struct DlqArguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List dead letters, newest first
    #[command(after_help = list::EXAMPLES)]
    List(list::ListArguments),
    /// Show one dead letter, and what the present configuration would make of it
    #[command(after_help = show::EXAMPLES)]
    Show(show::ShowArguments),
    /// Count dead letters by reason and topic
    #[command(after_help = stats::EXAMPLES)]
    Stats(stats::StatsArguments),
    /// Publish dead letters again, with the present configuration
    #[command(after_help = replay::EXAMPLES)]
    Replay(replay::ReplayArguments),
    /// Delete dead letters for good
    #[command(after_help = purge::EXAMPLES)]
    Purge(purge::PurgeArguments),
}

/// Runs the subcommand.
pub fn run(arguments: &DlqArguments) -> Result<Exit, Failure> {
    match &arguments.command {
        Command::List(arguments) => list::run(arguments),
        Command::Show(arguments) => show::run(arguments),
        Command::Stats(arguments) => stats::run(arguments),
        Command::Replay(arguments) => replay::run(arguments),
        Command::Purge(arguments) => purge::run(arguments),
    }
}

/// Where the dead letters are.
#[derive(Debug, Args)]
pub struct QueueArguments {
    /// Configuration file (TOML), of which all but [redis] serves
    #[arg(short, long, value_name = "FILE", env = "KAFKA_REDIS_BRIDGE_CONFIG")]
    config: Option<PathBuf>,
    /// kafka.bootstrap_servers: brokers to start from
    #[arg(long, value_name = "HOST:PORT,…")]
    bootstrap_servers: Option<String>,
    /// kafka.group_id: the consumer group whose dead letters they are
    #[arg(long, value_name = "GROUP")]
    group_id: Option<String>,
}

impl QueueArguments {
    /// Loads what is needed of the configuration.
    pub fn load(&self) -> Result<Derivation, Failure> {
        let file = self.config.as_deref();
        let config = config::load_derivation(file, std::env::vars(), self.overrides(), true)?;
        logging::start(&config.log);
        Ok(config)
    }

    fn overrides(&self) -> Vec<Override> {
        let flags = [
            (
                "kafka.bootstrap_servers",
                &self.bootstrap_servers,
                "--bootstrap-servers",
            ),
            ("kafka.group_id", &self.group_id, "--group-id"),
        ];
        let given = flags
            .into_iter()
            .filter_map(|(key, value, flag)| Some((key, value.as_deref()?, flag)));
        given
            .map(|(key, value, flag)| Override::new(key, value, flag))
            .collect()
    }
}

/// Whether a program reads what is printed, or asked for what programs read.
fn is_for_programs(json: bool) -> bool {
    json || !stdout().is_terminal()
}
