//! `replay --dry-run`: the same records, derived and shown.

use std::io::{self, BufWriter, IsTerminal as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use console::style;
use rdkafka::message::{BorrowedMessage, Message as _};
use serde::Serialize;

use super::range::Range;
use crate::commands::derived::{Commands, Derived};
use crate::commands::outcome::is_read;
use crate::config::Config;
use crate::derive::Derivation;
use crate::exit::Failure;
use crate::replay::range::{Source, Tally};
use crate::source::range::Step;

/// A record as it is printed for programs.
#[derive(Serialize)]
struct Line<'a> {
    topic: &'a str,
    partition: i32,
    offset: i64,
    outcome: &'static str,
    #[serde(flatten)]
    derived: Derived<'a>,
}

/// Derives all of it, and prints what would be published and what can't be.
pub fn run(
    config: &Config,
    range: &Range<'_>,
    mut source: Source,
    stop: &Arc<AtomicBool>,
) -> Result<(Tally, Result<(), Failure>), Failure> {
    let (mut reading, _) = range.open(&config.kafka)?;
    let mut tally = Tally::default();
    let mut out = BufWriter::new(io::stdout());
    while !stop.load(Ordering::Relaxed) {
        let message = match reading.step()? {
            Step::Record(message) => message,
            Step::Waiting => continue,
            Step::End => break,
        };
        let mut commands = Commands::default();
        let derivation = source.derive(&message, &mut commands);
        tally.derived(&derivation);
        if let Derivation::Ready { .. } = derivation {
            tally.answered(true);
        }
        let is_shown = !matches!(derivation, Derivation::Skip(_));
        if is_shown && !is_read(print(&mut out, &message, &derivation, &commands))? {
            break;
        }
    }
    is_read(out.flush())?;
    Ok((tally, Ok(())))
}

fn print(
    out: &mut impl io::Write,
    message: &BorrowedMessage<'_>,
    derivation: &Derivation,
    commands: &Commands,
) -> io::Result<()> {
    let (topic, partition, offset) = (message.topic(), message.partition(), message.offset());
    if io::stdout().is_terminal() {
        return match derivation {
            Derivation::Reject(rejection) => {
                writeln!(
                    out,
                    "{}\t{topic}[{partition}]@{offset}: {rejection}",
                    style("fails").red()
                )
            }
            _ => commands.channels.iter().try_for_each(|channel| {
                let notification = String::from_utf8_lossy(&commands.notification);
                writeln!(out, "{}\t{notification}", style(channel).cyan())
            }),
        };
    }
    let rejection = match derivation {
        Derivation::Reject(rejection) => Some(rejection),
        _ => None,
    };
    let line = Line {
        topic,
        partition,
        offset,
        outcome: if rejection.is_some() {
            "failed"
        } else {
            "published"
        },
        derived: Derived::new(commands, rejection)?,
    };
    serde_json::to_writer(&mut *out, &line)?;
    out.write_all(b"\n")
}
