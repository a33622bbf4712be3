//! What the commands that publish again share: configuration, signals, Redis before the start, the progress bar.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::outcome::{is_read, redis_failure};
use super::run::next_signal;
use crate::config::{self, Config, Override};
use crate::exit::{Exit, Failure};
use crate::observe::logging;
use crate::publish::link::{Link, Target};

/// Where the configuration comes from.
#[derive(Debug, Args)]
pub struct ServiceArguments {
    /// Configuration file (TOML), the one of the service
    #[arg(short, long, value_name = "FILE", env = "KAFKA_REDIS_BRIDGE_CONFIG")]
    config: Option<PathBuf>,
    /// kafka.bootstrap_servers: brokers to start from
    #[arg(long, value_name = "HOST:PORT,…")]
    bootstrap_servers: Option<String>,
    /// kafka.group_id: the consumer group of the service
    #[arg(long, value_name = "GROUP")]
    group_id: Option<String>,
    /// redis.url; a password belongs into redis.password_file or the environment
    #[arg(long, value_name = "URL")]
    redis_url: Option<String>,
}

impl ServiceArguments {
    /// Loads and checks the configuration, and starts logging.
    pub fn load(&self) -> Result<Config, Failure> {
        let flags = [
            (
                "kafka.bootstrap_servers",
                &self.bootstrap_servers,
                "--bootstrap-servers",
            ),
            ("kafka.group_id", &self.group_id, "--group-id"),
            ("redis.url", &self.redis_url, "--redis-url"),
        ];
        let overrides = flags
            .into_iter()
            .filter_map(|(key, value, flag)| Some(Override::new(key, value.as_deref()?, flag)));
        let config = config::load_replaying(self.config.as_deref(), std::env::vars(), overrides.collect())?;
        logging::start(&config.log);
        Ok(config)
    }
}

/// A runtime for what is done before the start.
pub fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::software(format!("no runtime: {error}")))
}

/// Where Redis is.
pub fn target(config: &Config) -> Result<Target, Failure> {
    Target::new(config.redis.connection_info())
        .map_err(|fault| Failure::config(format!("redis.url: {}", fault.message)))
}

/// Makes sure that there is a Redis, that it lets us in and is a master, before anything is begun.
pub fn reach_redis(target: &Target) -> Result<(), Failure> {
    runtime()?
        .block_on(Link::connect(target))
        .map(drop)
        .map_err(|fault| redis_failure(&target.node(), &fault))
}

/// Set by the first SIGTERM or SIGINT; the second one ends the process.
pub fn stop_on_signal() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let (runtime, told) = (runtime()?, Arc::clone(&stop));
    let wait = async move {
        next_signal().await;
        told.store(true, Ordering::Relaxed);
        next_signal().await;
        std::process::exit(Exit::Undrained as i32);
    };
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || runtime.block_on(wait))
        .map_err(|error| Failure::software(format!("no thread for signals: {error}")))?;
    Ok(stop)
}

/// Shown on a terminal, and nowhere else.
pub fn bar(total: u64) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(total);
    let template = "{bar:30} {human_pos}/{human_len} {per_sec} {eta} {msg}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

/// The summary: a sentence for a person, a line of JSON for a program. Where stdout has the records of a dry run,
/// the line goes to stderr as well.
pub fn tell(summary: &impl Serialize, sentence: &str, dry_run: bool) -> Result<(), Failure> {
    let json = serde_json::to_string(summary).map_err(|error| Failure::software(error.to_string()))?;
    match (io::stdout().is_terminal(), dry_run) {
        (true, _) => eprintln!("{sentence}"),
        (false, true) if io::stderr().is_terminal() => eprintln!("{sentence}"),
        (false, true) => eprintln!("{json}"),
        (false, false) => drop(is_read(writeln!(io::stdout(), "{json}"))?),
    }
    Ok(())
}

/// How a replay has ended: what failed first, then that it was stopped, then whether records failed.
pub fn exit(result: Result<(), Failure>, is_stopped: bool, has_failures: bool) -> Result<Exit, Failure> {
    result?;
    Ok(match (is_stopped, has_failures) {
        (true, _) => Exit::Undrained,
        (false, true) => Exit::Data,
        (false, false) => Exit::Ok,
    })
}
