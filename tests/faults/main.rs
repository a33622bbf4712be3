//! Breaks everything around the bridge and judges what came out: the fault matrix, a random storm, a soak. `scripts/faults`
//! runs it with the release binary on a real Kafka; ARCHITECTURE.md tells how it judges.
//!
//! - [`case`] lists the faults, one module for each family of them has what happens,
//! - [`setting`] is what a case is given, [`trial`] the bridge under load while it happens,
//!   [`flow`] what flows meanwhile, [`verdict`] the rule at its end,
//! - [`runner`] runs the cases, [`report`] tells how they ended,
//! - [`storm`] draws faults at random.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod brokers;
mod case;
mod channels;
mod ends;
mod flow;
mod letters;
mod memory;
mod odd;
mod outages;
mod poison;
mod refusals;
mod report;
mod restarts;
mod runner;
mod setting;
mod silence;
mod starts;
mod storm;
mod subscribers;
#[path = "../support/mod.rs"]
mod support;
mod throughput;
mod topics;
mod trial;
mod verdict;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use case::Case;
use support::kafka::Kafka;

/// Breaks everything around the bridge and judges what came out.
#[derive(Parser)]
struct Arguments {
    /// What the random choices start from: the same seed makes the same choices.
    #[arg(long, env = "SEED")]
    seed: Option<u64>,
    /// Only these cases, by name or by name/mode, separated by commas.
    #[arg(long, env = "ONLY", value_delimiter = ',')]
    only: Vec<String>,
    /// The shorter selection.
    #[arg(long)]
    quick: bool,
    /// List the cases and end.
    #[arg(long)]
    list: bool,
    /// How many cases run at once.
    #[arg(long, default_value_t = 3)]
    jobs: usize,
    /// How long the memory is watched, in minutes.
    #[arg(long, default_value_t = 10)]
    memory_minutes: u64,
    /// Not the matrix but random faults for so many minutes.
    #[arg(long, value_name = "MINUTES")]
    storm: Option<u64>,
    /// The program is built to be wrong: passes when the suite notices.
    #[arg(long)]
    broken: bool,
    /// Where reports and logs go.
    #[arg(long, default_value = "target/faults")]
    out: PathBuf,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let seed = arguments.seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
    let cases = chosen(&arguments);
    if arguments.list {
        for case in &cases {
            println!("{:40} {}", case.full_name(), case.promise);
        }
        return ExitCode::SUCCESS;
    }
    if cases.is_empty() {
        eprintln!("no case is called {:?}; --list lists them", arguments.only);
        return ExitCode::from(64);
    }
    let Some(kafka) = Kafka::shared("faults") else {
        eprintln!("KAFKA_BOOTSTRAP_SERVERS names no Kafka: scripts/faults starts one");
        return ExitCode::from(69);
    };
    let plan = runner::Plan {
        cases,
        kafka,
        seed,
        jobs: arguments.jobs.max(1),
        memory_for: Duration::from_secs(60 * arguments.memory_minutes),
        out: arguments.out,
    };
    let report = plan.run();
    let expected = match arguments.broken {
        true => report.noticed(),
        false => report.passed(),
    };
    if expected {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The cases that the command line asks for.
fn chosen(arguments: &Arguments) -> Vec<Case> {
    let wanted = |case: &Case| {
        if arguments.broken {
            return case.full_name() == "kill-9/at_least_once";
        }
        let named = |name: &String| *name == case.name || *name == case.full_name();
        match arguments.only.is_empty() {
            true => !arguments.quick || case.quick,
            false => arguments.only.iter().any(named),
        }
    };
    let all = match arguments.storm {
        Some(minutes) => vec![case::storm(Duration::from_secs(60 * minutes))],
        None => case::all(),
    };
    all.into_iter().filter(wanted).collect()
}
