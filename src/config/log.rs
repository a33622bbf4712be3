//! `[log]`: what is logged, and how.

use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

use super::problem::Problems;

/// The `[log]` section.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// A level, or a list of directives such as `info,kafka_redis_bridge::publish=debug`.
    pub level: String,
    /// How a line looks.
    pub format: LogFormat,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: "info".to_owned(),
            format: LogFormat::Text,
        }
    }
}

impl Log {
    pub(super) fn check(&self, problems: &mut Problems) {
        // A lone misspelt level would be taken for the name of a target, and everything of that target be logged.
        let lone = self
            .level
            .split(',')
            .map(str::trim)
            .find(|part| !part.contains(['=', '[']) && !is_level(part));
        if let Some(part) = lone {
            let message = format!(
                "`{}` is no level; write off, error, warn, info, debug or trace, or `target=level`",
                part.escape_debug()
            );
            problems.add("log.level", message);
        } else if let Err(error) = EnvFilter::builder().parse(&self.level) {
            problems.add(
                "log.level",
                format!("{error}; write a level such as info, or `target=level`"),
            );
        }
    }
}

fn is_level(text: &str) -> bool {
    ["off", "error", "warn", "info", "debug", "trace"]
        .iter()
        .any(|level| level.eq_ignore_ascii_case(text))
}
