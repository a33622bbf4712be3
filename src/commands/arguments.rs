//! Arguments that several commands take: where the configuration comes from.

use std::path::PathBuf;

use clap::Args;

use crate::config::{self, Config, Override};
use crate::exit::Failure;

/// Where the configuration comes from: a file, environment variables and flags, the later ones first in rank.
#[derive(Debug, Args)]
pub struct ConfigArguments {
    /// Configuration file (TOML); without one the flags below suffice
    #[arg(short, long, value_name = "FILE", env = "KAFKA_REDIS_BRIDGE_CONFIG")]
    pub config: Option<PathBuf>,
    /// kafka.bootstrap_servers: brokers to start from
    #[arg(long, value_name = "HOST:PORT,…")]
    pub bootstrap_servers: Option<String>,
    /// kafka.topics: a topic, or a regular expression that starts with ^; may be repeated
    #[arg(long = "topic", value_name = "TOPIC")]
    pub topics: Vec<String>,
    /// kafka.group_id: the consumer group
    #[arg(long, value_name = "GROUP")]
    pub group_id: Option<String>,
    /// kafka.start_from: latest, earliest or an RFC 3339 time
    #[arg(long, value_name = "WHEN")]
    pub start_from: Option<String>,
    /// redis.url; a password belongs into redis.password_file or the environment
    #[arg(long, value_name = "URL")]
    pub redis_url: Option<String>,
    /// delivery.mode: best_effort or at_least_once
    #[arg(long, value_name = "MODE")]
    pub mode: Option<String>,
    /// http.listen: where metrics and status are served
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<String>,
}

impl ConfigArguments {
    /// Loads and validates the configuration.
    pub fn load(&self) -> Result<Config, Failure> {
        let file = self.config.as_deref();
        Ok(config::load(file, std::env::vars(), self.overrides())?)
    }

    fn overrides(&self) -> Vec<Override> {
        let mut overrides = Vec::new();
        if !self.topics.is_empty() {
            overrides.push(Override::new("kafka.topics", self.topics.clone(), "--topic"));
        }
        for (path, value, flag) in [
            (
                "kafka.bootstrap_servers",
                &self.bootstrap_servers,
                "--bootstrap-servers",
            ),
            ("kafka.group_id", &self.group_id, "--group-id"),
            ("kafka.start_from", &self.start_from, "--start-from"),
            ("redis.url", &self.redis_url, "--redis-url"),
            ("delivery.mode", &self.mode, "--mode"),
            ("http.listen", &self.listen, "--listen"),
        ] {
            if let Some(value) = value {
                overrides.push(Override::new(path, value.as_str(), flag));
            }
        }
        overrides
    }
}
