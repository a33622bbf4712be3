//! What is printed: for each record on stdout, and at the end on stderr.

use std::io::{self, BufWriter, IsTerminal as _, Stdout, Write as _};

use console::style;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::dry_run::Counts;
use crate::commands::derived::{Commands, Derived};
use crate::derive::Rejection;
use crate::record::Record;

/// How records are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// A line for each channel.
    Text,
    /// A JSON object for each record.
    Json,
}

/// What became of a record.
pub enum Outcome {
    /// It would be published.
    Ready,
    /// It would be skipped.
    Skip(&'static str),
    /// It would be a dead letter.
    DeadLetter(Rejection),
}

/// Prints.
pub struct Show {
    style: Style,
    /// Lines are told at once where somebody watches them or pipes records in by hand.
    eager: bool,
    out: BufWriter<Stdout>,
    progress: ProgressBar,
}

/// A record as `--json` prints it.
#[derive(Serialize)]
struct Shown<'a> {
    topic: &'a str,
    partition: i32,
    offset: i64,
    outcome: &'static str,
    #[serde(flatten)]
    derived: Derived<'a>,
}

impl Show {
    /// Prints in this style. `eager` leaves nothing in buffers.
    pub fn new(style: Style, eager: bool) -> Self {
        Self {
            style,
            eager: eager || io::stdout().is_terminal(),
            out: BufWriter::new(io::stdout()),
            progress: progress(),
        }
    }

    /// Prints what became of a record.
    pub fn record(&mut self, record: &Record<'_>, outcome: &Outcome, commands: &Commands) -> io::Result<()> {
        match self.style {
            Style::Text => self.text(record, outcome, commands)?,
            Style::Json => self.json(record, outcome, commands)?,
        }
        self.progress.inc(1);
        if self.eager { self.out.flush() } else { Ok(()) }
    }

    fn text(&mut self, record: &Record<'_>, outcome: &Outcome, commands: &Commands) -> io::Result<()> {
        let place = || format!("({}[{}]@{})", record.topic, record.partition, record.offset);
        match outcome {
            Outcome::Ready => {
                for channel in &commands.channels {
                    write!(self.out, "{}\t", style(channel).cyan())?;
                    self.out.write_all(&commands.notification)?;
                    self.out.write_all(b"\n")?;
                }
                Ok(())
            }
            Outcome::Skip(reason) => {
                let skipped = style("skipped").yellow();
                writeln!(self.out, "{skipped}: {reason} {}", style(place()).dim())
            }
            Outcome::DeadLetter(rejection) => {
                let dead_letter = style("dead letter").red();
                writeln!(self.out, "{dead_letter}: {rejection} {}", style(place()).dim())
            }
        }
    }

    fn json(&mut self, record: &Record<'_>, outcome: &Outcome, commands: &Commands) -> io::Result<()> {
        let (outcome, derived) = match outcome {
            Outcome::Ready => ("ready", Derived::new(commands, None)?),
            Outcome::Skip(reason) => ("skip", Derived::new(commands, None)?.because(reason)),
            Outcome::DeadLetter(rejection) => ("dead_letter", Derived::new(commands, Some(rejection))?),
        };
        let shown = Shown {
            topic: record.topic,
            partition: record.partition,
            offset: record.offset,
            outcome,
            derived,
        };
        serde_json::to_writer(&mut self.out, &shown)?;
        self.out.write_all(b"\n")
    }

    /// Prints the counts.
    pub fn finish(&mut self, counts: &Counts) -> io::Result<()> {
        self.progress.finish_and_clear();
        if io::stderr().is_terminal() {
            eprintln!("{}", sentence(counts));
        } else {
            eprintln!("{}", serde_json::to_string(counts)?);
        }
        self.out.flush()
    }
}

/// Visible where the records themselves are not, and nowhere but on a terminal.
fn progress() -> ProgressBar {
    if io::stdout().is_terminal() || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {human_pos} records, {per_sec}") {
        bar.set_style(style);
    }
    bar
}

fn sentence(counts: &Counts) -> String {
    let mut parts = vec![
        format!("records: {}", counts.records),
        format!(
            "would be published: {} (notifications: {})",
            counts.ready, counts.notifications
        ),
    ];
    for (what, by_reason) in [
        ("skipped", &counts.skipped),
        ("dead letters", &counts.dead_letters),
    ] {
        if !by_reason.is_empty() {
            let total: u64 = by_reason.values().sum();
            let reasons: Vec<_> = by_reason.iter().map(|(r, n)| format!("{r}: {n}")).collect();
            parts.push(format!("{what}: {total} ({})", reasons.join(", ")));
        }
    }
    if counts.fields_omitted > 0 {
        parts.push(format!("extra fields left out: {}", counts.fields_omitted));
    }
    parts.join("; ")
}
