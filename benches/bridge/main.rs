//! `make bench`: the bridge beside the floor, on a real Kafka and a real Redis.
//!
//! - [`floor`] is the yardstick, a process like the bridge: the least that does the work,
//! - [`records`] says what the records look like and fills topics,
//! - [`stage`] starts the servers and who is measured, [`meter`] measures both from outside and the same way,
//! - [`drain`] is a scenario.
#![allow(missing_docs, reason = "a program, not a library")]

mod drain;
mod floor;
mod meter;
mod records;
mod settings;
mod spread;
mod stage;
#[path = "../../tests/support/mod.rs"]
mod support;

use std::process::ExitCode;

use clap::Parser as _;
use settings::{Role, Scenario, Settings};
use stage::Stage;

/// What can go wrong is told and ends the program.
pub type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

/// Progress, for people.
#[macro_export]
macro_rules! say {
    ($($text:tt)*) => { eprintln!("bench: {}", format_args!($($text)*)) };
}

fn main() -> ExitCode {
    let settings = Settings::parse();
    let done = match &settings.role {
        Some(Role::Floor(arguments)) => floor::run(arguments).map_err(Into::into),
        None => run(&settings),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(settings: &Settings) -> Fallible<()> {
    let stage = Stage::start()?;
    if settings.serve {
        return stage.serve(settings);
    }
    if settings.wants(Scenario::Drain) {
        println!(
            "{}",
            serde_json::to_string_pretty(&drain::run(&stage, settings)?)?
        );
    }
    Ok(())
}
