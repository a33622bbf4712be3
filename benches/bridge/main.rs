//! `make bench`: the bridge beside the floor, on a real Kafka and a real Redis.
//!
//! - [`floor`] is the yardstick, a process like the bridge: the least that does the work,
//! - [`records`] says what the records look like and fills topics,
//! - [`stage`] starts the servers and who is measured, [`meter`] measures both from outside and the same way,
//! - [`drain`], [`latency`], [`memory`] and [`idle`] are the scenarios,
//! - [`environment`] says where and with what, [`targets`] what is aimed at, [`report`] is the JSON file and
//!   [`tables`] what people read.
#![allow(missing_docs, reason = "a program, not a library")]

mod drain;
mod environment;
mod floor;
mod idle;
mod latency;
mod memory;
mod meter;
mod records;
mod report;
mod settings;
mod spread;
mod stage;
#[path = "../../tests/support/mod.rs"]
mod support;
mod tables;
mod targets;

use std::path::Path;
use std::process::ExitCode;

use clap::Parser as _;
use environment::{Environment, Machine};
use report::Report;
use settings::{Role, Scenario, Settings};
use stage::Stage;
use tables::Style;

/// The bridge's: the floor is to have no handicap.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What can go wrong is told and ends the program.
pub type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

/// Progress, for people.
#[macro_export]
macro_rules! say {
    ($($text:tt)*) => { eprintln!("bench: {}", format_args!($($text)*)) };
}

fn main() -> ExitCode {
    let settings = Settings::parse().effective();
    let done = match (&settings.role, &settings.markdown) {
        (Some(Role::Floor(arguments)), _) => floor::run(arguments).map_err(Into::into),
        (None, Some(file)) => print_markdown(file),
        (None, None) => measure(&settings),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn print_markdown(file: &Path) -> Fallible<()> {
    print!("{}", tables::render(&Report::read(file)?, Style::Markdown));
    Ok(())
}

fn measure(settings: &Settings) -> Fallible<()> {
    let machine = Machine::here()?;
    let stage = Stage::start(settings)?;
    if settings.serve {
        return stage.serve(settings);
    }
    let mut report = Report {
        environment: Environment::of(&stage, settings, machine)?,
        drain: Vec::new(),
        latency: Vec::new(),
        memory: Vec::new(),
        idle: Vec::new(),
        targets: Vec::new(),
    };
    // What is measured is on disk at once: a run takes a quarter of an hour.
    let file = settings.json.clone().unwrap_or_else(|| report.default_file());
    if settings.wants(Scenario::Drain) {
        report.drain = drain::run(&stage, settings)?;
        report.write(&file)?;
    }
    if settings.wants(Scenario::Latency) {
        report.latency = latency::run(&stage, settings)?;
        report.write(&file)?;
    }
    if settings.wants(Scenario::Memory) {
        report.memory = memory::run(&stage, settings)?;
        report.write(&file)?;
    }
    if settings.wants(Scenario::Idle) {
        report.idle = idle::run(&stage, settings)?;
    }
    report.targets = targets::of(&report);
    report.write(&file)?;
    print!("{}", tables::render(&report, Style::Terminal));
    say!("written to {}", file.display());
    Ok(())
}
