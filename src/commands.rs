//! The commands, one file each, and the arguments that they share.

mod again;
mod arguments;
mod check;
mod demo;
mod derive;
mod derived;
mod dlq;
mod lag;
mod outcome;
mod replay;
mod run;
mod tail;
mod text;
mod topic;

use clap::{Parser, Subcommand};

use crate::exit::{Exit, Failure};
use arguments::ConfigArguments;

/// Tails Kafka topics as a consumer group and publishes lightweight notifications to Redis.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 110, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service
    #[command(after_help = run::EXAMPLES)]
    Run(ConfigArguments),
    /// Check the configuration, and with --connect what it names
    #[command(after_help = check::EXAMPLES)]
    Check(check::CheckArguments),
    /// Show what would be published for records from a file, stdin or a topic
    #[command(after_help = derive::EXAMPLES)]
    Derive(derive::DeriveArguments),
    /// Print notifications as they are published
    #[command(after_help = tail::EXAMPLES)]
    Tail(tail::TailArguments),
    /// Look at dead letters, and get rid of them
    #[command(after_help = dlq::EXAMPLES)]
    Dlq(dlq::DlqArguments),
    /// How far behind the group is, partition by partition
    #[command(after_help = lag::EXAMPLES)]
    Lag(lag::LagArguments),
    /// Publish a range of a topic again, without touching the group's offsets
    #[command(after_help = replay::EXAMPLES)]
    Replay(replay::ReplayArguments),
    /// Everything on one machine, live: embedded Kafka, a redis-server, sample producers, a subscriber
    #[command(after_help = demo::EXAMPLES)]
    Demo(demo::DemoArguments),
}

impl Cli {
    /// Runs the command that was asked for.
    pub fn run(self) -> Result<Exit, Failure> {
        match self.command {
            Command::Run(arguments) => run::run(arguments.load()?),
            Command::Check(arguments) => check::run(&arguments),
            Command::Derive(arguments) => derive::run(&arguments),
            Command::Tail(arguments) => tail::run(&arguments),
            Command::Dlq(arguments) => dlq::run(&arguments),
            Command::Lag(arguments) => lag::run(&arguments),
            Command::Replay(arguments) => replay::run(&arguments),
            Command::Demo(arguments) => demo::run(&arguments),
        }
    }
}
