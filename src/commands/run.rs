//! `run`: the service.

use std::time::Duration;

use crate::bridge;
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::observe::logging;

/// Shown behind `--help`.
pub const EXAMPLES: &str = "\
Examples:
  kafka-redis-bridge run --config bridge.toml
  kafka-redis-bridge run --bootstrap-servers localhost:9092 --topic orders --redis-url redis://localhost

Exit codes: 0 drained and left the group; 69 Kafka out of reach at the start; 75 ended before it could drain;
78 configuration.";

/// Signals this close together are one: `timeout` and some supervisors send theirs to the process and its group.
const ONE_SIGNAL: Duration = Duration::from_millis(100);

/// Runs until SIGTERM or SIGINT; a second one ends at once.
pub fn run(config: Config) -> Result<Exit, Failure> {
    logging::start(&config.log);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| Failure::software(format!("no runtime: {error}")))?;
    runtime.block_on(bridge::run(config, signal()))
}

/// Waits for the first signal; from then on a second one ends the process at once.
pub(super) async fn signal() {
    next_signal().await;
    tracing::info!("told to end: draining");
    tokio::spawn(async {
        tokio::time::sleep(ONE_SIGNAL).await;
        next_signal().await;
        tracing::warn!("told to end a second time: ending at once");
        std::process::exit(Exit::Undrained as i32);
    });
}

/// Waits for SIGTERM or SIGINT.
pub(super) async fn next_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(mut terminate), Ok(mut interrupt)) => {
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        }
        (Err(error), _) | (_, Err(error)) => {
            tracing::error!(%error, "signals can't be received");
            std::future::pending::<()>().await;
        }
    }
}
