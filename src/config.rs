//! The configuration: a TOML file, under environment variables, under command-line flags.
//!
//! [`load`] merges the three layers into one tree, reads it into one type per section, checks what types can't say,
//! and reports everything that is wrong in one go, each problem with its file and line, variable or flag. The
//! other modules get a [`Config`] from [`load`] alone, and a secret only where they ask for it by `expose`.

mod batch;
mod delivery;
mod dlq;
mod duration;
mod env;
mod file;
mod forbidden;
mod http;
mod kafka;
mod log;
mod names;
mod otlp;
mod part;
mod problem;
mod properties;
mod read;
mod redis;
mod routes;
mod secret;
mod trace;
mod tree;
mod url;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use std::path::Path;

use serde::ser::{Serialize, Serializer};

use crate::derive::RouteSpec;

pub use batch::Batch;
pub use delivery::{Delivery, Mode};
pub use dlq::{Dlq, Guard};
pub use duration::format as format_duration;
pub use http::Http;
pub use kafka::{Kafka, StartFrom};
pub use log::{Log, LogFormat};
pub use otlp::Otlp;
pub use part::{Derivation, load_derivation, load_redis, load_replaying};
pub use problem::{ConfigError, Origin, Problem};
pub use properties::Properties;
pub use redis::Redis;
pub use secret::{MASK, Secret};
pub use trace::{Names, Passed, Trace};
pub use url::RedisUrl;

/// The whole configuration, checked.
#[derive(Debug, Clone, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The cluster, the group and the topics.
    #[serde(default)]
    pub kafka: Kafka,
    /// Where notifications are published.
    pub redis: Redis,
    /// What is promised, and how long it is tried.
    #[serde(default)]
    pub delivery: Delivery,
    /// How much goes to Redis at once.
    #[serde(default)]
    pub batch: Batch,
    /// Where dead letters go, and how fast.
    #[serde(default)]
    pub dlq: Dlq,
    /// Where metrics, health and the status page are served.
    #[serde(default)]
    pub http: Http,
    /// What is logged, and how.
    #[serde(default)]
    pub log: Log,
    /// What becomes of the records' trace context.
    #[serde(default)]
    pub trace: Trace,
    /// How notifications are derived; empty means the default envelope for every topic.
    #[serde(default, serialize_with = "routes::serialize")]
    pub routes: Vec<RouteSpec>,
}

/// A value from the command line, over file and environment.
#[derive(Clone, PartialEq)]
pub struct Override {
    /// The key, such as `redis.url`; what follows `kafka.properties.` is one name, dots and all.
    pub path: String,
    /// The value.
    pub value: toml::Value,
    /// The flag that gave it, with its dashes, for messages.
    pub flag: String,
}

impl Override {
    /// `flag` sets the key at `path` to `value`.
    pub fn new(path: impl Into<String>, value: impl Into<toml::Value>, flag: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            value: value.into(),
            flag: flag.into(),
        }
    }
}

impl std::fmt::Debug for Override {
    /// Without the value, which may be a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} sets {}", self.flag, self.path)
    }
}

/// Loads the configuration: the file, if any, then our variables of `env`, then `overrides`. Later ones win.
pub fn load(
    file: Option<&Path>,
    env: impl Iterator<Item = (String, String)>,
    overrides: Vec<Override>,
) -> Result<Config, ConfigError> {
    load_needed(file, env, overrides, part::EVERYTHING)
}

/// The same for a command that needs a part of it.
fn load_needed(
    file: Option<&Path>,
    env: impl Iterator<Item = (String, String)>,
    overrides: Vec<Override>,
    needs: part::Needs,
) -> Result<Config, ConfigError> {
    let mut problems = problem::Problems::waiving(needs.waived);
    let mut root = toml::Table::new();
    if let Some(path) = file {
        match file::read(path, &mut problems) {
            Some(table) => root = table,
            None => return problems.finish(None),
        }
        tree::flatten_properties(&mut root);
    }
    env::apply(env, &mut root, &mut problems);
    for Override { path, value, flag } in overrides {
        let value = tree::without_dates(value);
        let layer = tree::Layer {
            path: tree::split(&path),
            value,
            origin: Origin::Flag(flag),
        };
        tree::put(&mut root, layer, &mut problems);
    }
    root.retain(|section, _| !needs.ignored.contains(&section));
    let mut config = read::config(root, &mut problems);
    if let Some(config) = &mut config {
        config.check(&mut problems);
    }
    problems.finish(config)
}

impl Config {
    /// Fills in what depends on other keys, reads the password file, and checks what types can't say.
    fn check(&mut self, problems: &mut problem::Problems) {
        self.kafka.check(problems);
        self.redis.resolve(problems);
        self.delivery.check(&self.kafka.properties, problems);
        self.batch.check(self.delivery.max_notification_bytes, problems);
        self.dlq.resolve(&self.kafka, problems);
        self.log.check(problems);
        self.trace.check(problems);
        routes::check(&self.kafka.topics, &self.routes, problems);
    }

    /// Every key with the value in force, as TOML, with secrets masked. Optional keys that aren't set are comments.
    pub fn effective_toml(&self) -> String {
        let printed = match toml::to_string(self) {
            Ok(text) => text,
            Err(error) => format!("# the configuration can't be printed: {error}"),
        };
        let unset = format!(" = \"{UNSET}\"");
        let lines = printed.lines().map(|line| match line.strip_suffix(&unset) {
            Some(key) => format!("# {key} = {UNSET}\n"),
            None => format!("{line}\n"),
        });
        lines.collect()
    }
}

/// What [`Config::effective_toml`] prints for an optional key that isn't set; a dead line in TOML.
const UNSET: &str = "(not set)";

/// `#[serde(serialize_with)]` for optional keys.
fn or_unset<T: Serialize, S: Serializer>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => value.serialize(serializer),
        None => serializer.serialize_str(UNSET),
    }
}

/// What is said of a key that has to be given.
fn missing(key: &str, flag: &str) -> String {
    let variable = key.to_uppercase().replace('.', "__");
    format!(
        "is missing; set it in the file, as {}{variable} or by {flag}",
        env::PREFIX
    )
}
