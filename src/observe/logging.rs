//! Logs: structured, on stderr, as text or JSON; a fault that repeats itself is told a few times and counted.

mod throttle;

use std::io::IsTerminal;

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt};

use self::throttle::Throttle;
use crate::config::{Log, LogFormat};

/// Starts logging. Called once; a second call changes nothing.
pub fn start(log: &Log) {
    let filter = EnvFilter::try_new(&log.level).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = match log.format {
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).boxed(),
        LogFormat::Text => lines
            .with_ansi(std::io::stderr().is_terminal())
            .with_target(false)
            .boxed(),
    };
    let started = tracing_subscriber::registry()
        .with(lines)
        .with(Throttle::default())
        .with(filter)
        .try_init();
    // Fails only when a logger is there already, which then serves.
    drop(started);
}
