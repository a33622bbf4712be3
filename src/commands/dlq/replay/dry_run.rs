//! `dlq replay --dry-run`: what would become of each letter, without a group, a commit or a publish.

use std::io::{self, BufWriter, IsTerminal as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use console::style;
use serde::Serialize;

use crate::commands::derived::{Commands, Derived};
use crate::commands::outcome::is_read;
use crate::config::Config;
use crate::dlq::stored::StoredLetter;
use crate::exit::Failure;
use crate::replay::letters::judge::{Choice, Judge, Judgement};
use crate::replay::letters::tally::{Fate, Tally};
use crate::replay::letters::{measure, reader};
use crate::source::range::Step;

/// A letter as it is printed for programs.
#[derive(Serialize)]
struct Line<'a> {
    letter: String,
    topic: Option<&'a str>,
    partition: Option<i32>,
    offset: Option<i64>,
    was: Option<&'a str>,
    replay_count: u32,
    outcome: Fate,
    #[serde(flatten)]
    derived: Derived<'a>,
}

/// Judges every unresolved letter and prints what would become of it; those that the filter leaves out are counted.
pub fn run(
    config: &Config,
    choice: Choice,
    partitions: i32,
    stop: &Arc<AtomicBool>,
) -> Result<(Tally, Result<(), Failure>), Failure> {
    let mut judge = Judge::new(config, choice)?;
    let reader = reader(config)?;
    let depths = measure(config, &reader, partitions)?;
    let spans = depths
        .iter()
        .map(|(number, depth)| (*number, depth.log()))
        .collect();
    let mut reading = reader.start(&spans)?;
    let mut tally = Tally::default();
    let mut out = BufWriter::new(io::stdout());
    while !stop.load(Ordering::Relaxed) {
        let message = match reading.step()? {
            Step::Record(message) => message,
            Step::Waiting => continue,
            Step::End => break,
        };
        let mut letter = StoredLetter::read(&message);
        let depth = depths.get(&letter.partition);
        if depth.is_some_and(|depth| depth.resolved().contains(letter.offset)) {
            continue;
        }
        tally.read();
        let mut commands = Commands::default();
        let judgement = judge.judge(&mut letter, &mut commands)?;
        let fate = fate(&judgement);
        tally.settle(fate);
        if fate != Fate::Filtered && !is_read(print(&mut out, &letter, fate, &judgement, &commands))? {
            break;
        }
    }
    is_read(out.flush())?;
    Ok((tally, Ok(())))
}

fn fate(judgement: &Judgement) -> Fate {
    match judgement {
        Judgement::Leave(fate) => *fate,
        Judgement::Publish(_) | Judgement::ToSource => Fate::Replayed,
        Judgement::Skip => Fate::Skipped,
        Judgement::Reject(_) => Fate::FailedAgain,
    }
}

fn print(
    out: &mut impl io::Write,
    letter: &StoredLetter,
    fate: Fate,
    judgement: &Judgement,
    commands: &Commands,
) -> io::Result<()> {
    let rejection = match judgement {
        Judgement::Reject(rejection) => Some(rejection),
        _ => None,
    };
    let place = format!("{}:{}", letter.partition, letter.offset);
    if io::stdout().is_terminal() {
        let what = match (rejection, judgement) {
            (Some(rejection), _) => format!("{} {rejection}", style("fails again:").red()),
            (None, Judgement::ToSource) => style("goes back to its topic").green().to_string(),
            (None, Judgement::Publish(_)) => format!(
                "{} {}",
                style(commands.channels.join(" ")).cyan(),
                String::from_utf8_lossy(&commands.notification)
            ),
            (None, _) => style(fate.words()).yellow().to_string(),
        };
        return writeln!(out, "{place}\t{what}");
    }
    let origin = letter.origin.as_ref();
    let line = Line {
        letter: place,
        topic: origin.map(|origin| origin.topic.as_str()),
        partition: origin.map(|origin| origin.partition),
        offset: origin.map(|origin| origin.offset),
        was: letter.reason.as_deref(),
        replay_count: letter.replay_count.unwrap_or(0),
        outcome: fate,
        derived: Derived::new(commands, rejection)?,
    };
    serde_json::to_writer(&mut *out, &line)?;
    out.write_all(b"\n")
}
