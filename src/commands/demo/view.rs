//! What is seen: notifications that scroll by, above lines that stay. Piped, plain lines and nothing else.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use console::{Alignment, Style, Term, pad_str, truncate_str};
use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::sync::watch;

use super::summary::Summary;
use super::tally::Glance;

/// Somebody reads along at a terminal: more lines a second are a blur.
const BETWEEN_LINES: Duration = Duration::from_millis(50);
/// How often a spinner turns.
const SPIN: Duration = Duration::from_millis(100);
/// Columns where the terminal doesn't say.
const COLUMNS: u16 = 80;

/// The live counters at one moment.
#[derive(Debug)]
pub struct Counters {
    pub elapsed: Duration,
    pub limit: Option<Duration>,
    pub published_per_second: u64,
    pub glance: Glance,
}

/// Where everything is shown.
pub struct View {
    /// The lines that stay; none where the output isn't a terminal.
    bar: Option<ProgressBar>,
    last_line: Mutex<Option<Instant>>,
    /// Turns true when nobody reads any more, as behind `| head`.
    closed: watch::Sender<bool>,
}

impl View {
    /// On standard output, whatever that is.
    pub fn new() -> Self {
        let bar = std::io::stdout().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stdout());
            bar.set_style(spinner());
            bar
        });
        Self {
            bar,
            last_line: Mutex::new(None),
            closed: watch::Sender::new(false),
        }
    }

    /// Whether somebody sees it at once, and in colours.
    pub fn is_terminal(&self) -> bool {
        self.bar.is_some()
    }

    /// A line of its own.
    pub fn line(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            None => {
                if writeln!(std::io::stdout().lock(), "{line}").is_err() {
                    self.closed.send_replace(true);
                }
            }
        }
    }

    /// Says what is being waited for.
    pub fn waiting(&self, what: &str) {
        match &self.bar {
            Some(bar) => {
                bar.set_style(spinner());
                bar.set_message(what.to_owned());
                bar.enable_steady_tick(SPIN);
            }
            None => self.line(what),
        }
    }

    /// Ends the waiting.
    pub fn waited(&self) {
        if let Some(bar) = &self.bar {
            bar.disable_steady_tick();
            bar.set_message("");
            bar.set_style(counters());
        }
    }

    /// A notification that the subscriber has heard.
    pub fn notification(&self, latency: Duration, channel: &str, kind: &str, id: &str) {
        if self.is_terminal() && !self.has_room() {
            return;
        }
        let columns = [
            latency_style(latency).apply_to(format!("{:>9}", milliseconds(latency.as_micros()))),
            Style::new().apply_to(pad_str(channel, 36, Alignment::Left, Some("…")).into_owned()),
            Style::new()
                .bold()
                .apply_to(pad_str(kind, 20, Alignment::Left, Some("…")).into_owned()),
        ];
        let [latency, channel, kind] = columns;
        self.line(&self.fit(&format!("{latency}  {channel} {kind} {}", dim().apply_to(id))));
    }

    /// A dead letter that was read from its topic.
    pub fn dead_letter(&self, topic: &str, reason: &str, message: &str) {
        let mark = Style::new().yellow().apply_to("   dead   ");
        let reason = Style::new().yellow().apply_to(reason);
        self.line(&self.fit(&format!("{mark} {topic}: {reason}: {message}")));
    }

    /// The counters as they stand; where nothing can stay, a line among the others.
    pub fn counters(&self, counters: &Counters, address: &str) {
        let elapsed = match counters.limit {
            Some(limit) => format!("{} of {}", clock(counters.elapsed), clock(limit)),
            None => clock(counters.elapsed),
        };
        let glance = counters.glance;
        let p99 = glance
            .p99_micros
            .map_or_else(|| "–".to_owned(), |micros| milliseconds(u128::from(micros)));
        let bold = Style::new().bold();
        let line = format!(
            " {}   {} published/s   p99 {}   {} dead letters   {} received",
            bold.apply_to(elapsed),
            Style::new()
                .green()
                .bold()
                .apply_to(HumanCount(counters.published_per_second)),
            Style::new().cyan().bold().apply_to(p99),
            Style::new()
                .yellow()
                .bold()
                .apply_to(HumanCount(glance.dead_letters)),
            bold.apply_to(HumanCount(glance.received)),
        );
        let Some(bar) = &self.bar else {
            return self.line(line.trim_start());
        };
        let hint = dim().apply_to(format!(
            " http://{address}/  /metrics  /status   a sample scrolls by, Ctrl-C ends"
        ));
        // Begins with an empty line: the echo of Ctrl-C shifts what is taken away by a line, and leaves this one.
        bar.set_message(format!("\n{}\n{}", self.fit(&line), self.fit(&hint.to_string())));
        bar.tick();
    }

    /// Takes away what stays: the rest is for keeping.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// The end, after [`View::finish`].
    pub fn summary(&self, summary: &Summary, dlq: &str) {
        let (table, verdict) = (summary.table(dlq), summary.verdict());
        let style = match summary.adds_up() {
            true => Style::new().green().bold(),
            false => Style::new().red().bold(),
        };
        let mut text = format!("\n{table}\n{}\n", style.apply_to(verdict));
        if !self.is_terminal() {
            text += &serde_json::to_string(summary).unwrap_or_default();
            text.push('\n');
        }
        // Where nobody reads, nothing is left to be said.
        let _ = std::io::stdout().lock().write_all(text.as_bytes());
    }

    /// Waits until nobody reads any more.
    pub async fn closed(&self) {
        let mut closed = self.closed.subscribe();
        if closed.wait_for(|closed| *closed).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    fn has_room(&self) -> bool {
        let mut last = self
            .last_line
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let has_room = last.is_none_or(|last| last.elapsed() >= BETWEEN_LINES);
        if has_room {
            *last = Some(Instant::now());
        }
        has_room
    }

    /// Cuts a line to the terminal's width.
    fn fit(&self, line: &str) -> String {
        match self.bar {
            Some(_) => truncate_str(line, usize::from(columns()), "…").into_owned(),
            None => line.to_owned(),
        }
    }
}

fn columns() -> u16 {
    Term::stdout()
        .size_checked()
        .map_or(COLUMNS, |(_, columns)| columns)
}

fn spinner() -> ProgressStyle {
    template("{spinner:.cyan} {msg}")
}

fn counters() -> ProgressStyle {
    template("{msg}")
}

fn template(text: &str) -> ProgressStyle {
    ProgressStyle::with_template(text).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

fn dim() -> Style {
    Style::new().dim()
}

fn latency_style(latency: Duration) -> Style {
    match latency.as_millis() {
        0..50 => Style::new().green(),
        50..500 => Style::new().yellow(),
        _ => Style::new().red(),
    }
}

/// Microseconds for people.
#[allow(clippy::cast_precision_loss, reason = "microseconds, shown with one digit")]
fn milliseconds(micros: u128) -> String {
    format!("{:.1} ms", micros as f64 / 1000.0)
}

/// Minutes and seconds.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{}:{:02}", seconds / 60, seconds % 60)
}
