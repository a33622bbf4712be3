//! Where a value came from, and what is wrong with it.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use crate::exit::Failure;

/// Where a value of the configuration was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// A line of the configuration file; without a line, the file as a whole.
    File(String, Option<usize>),
    /// An environment variable.
    Env(String),
    /// A command-line flag, with its dashes.
    Flag(String),
}

/// One thing that is wrong with the configuration. It displays as one line: where, which key, what, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where the value was written; `None` when there is no file and the key is missing.
    pub origin: Option<Origin>,
    /// The key as a path, such as `routes[0].channels[1]`; empty when it concerns no single key.
    pub key: String,
    /// What is wrong and what to do. Holds no secret.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = OneLine(&self.message);
        match &self.origin {
            None => f.write_str("configuration: ")?,
            Some(Origin::File(file, None)) => write!(f, "{}: ", OneLine(file))?,
            Some(Origin::File(file, Some(line))) => write!(f, "{}:{line}: ", OneLine(file))?,
            Some(Origin::Env(name)) => write!(f, "environment variable {}: ", OneLine(name))?,
            // A flag says already which key it stands for.
            Some(Origin::Flag(flag)) => return write!(f, "{flag}: {message}"),
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", OneLine(&self.key))?;
        }
        write!(f, "{message}")
    }
}

/// Text without control characters: a quoted key may hold some, and a terminal or a log would act on them.
struct OneLine<'a>(&'a str);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c.is_control() {
            true => write!(f, "{}", c.escape_default()),
            false => f.write_char(c),
        })
    }
}

/// Everything that is wrong with the configuration, one problem a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    problems: Vec<Problem>,
}

impl ConfigError {
    /// The problems, those of the file first and in its order.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.problems.iter().enumerate() {
            if n > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::config(error.to_string())
    }
}

/// Origins by key. A key without an origin of its own has that of the nearest key around it.
#[derive(Debug, Default)]
pub(super) struct Origins(BTreeMap<String, Origin>);

impl Origins {
    /// Remembers where `key` was written, and forgets what was known about the keys under it.
    pub(super) fn replace(&mut self, key: &str, origin: Origin) {
        self.0.retain(|known, _| !is_under(known, key));
        self.0.insert(key.to_owned(), origin);
    }

    /// The origin of exactly this key.
    pub(super) fn exact(&self, key: &str) -> Option<&Origin> {
        self.0.get(key)
    }

    /// The origin of this key or of the nearest one around it.
    fn nearest(&self, key: &str) -> Option<&Origin> {
        let mut key = key;
        loop {
            if let Some(origin) = self.0.get(key) {
                return Some(origin);
            }
            if key.is_empty() {
                return None;
            }
            key = key.rfind(['.', '[']).map_or("", |cut| &key[..cut]);
        }
    }
}

/// Collects problems, so that one run reports them all.
#[derive(Debug, Default)]
pub(super) struct Problems {
    pub(super) origins: Origins,
    found: Vec<Problem>,
    broken: Vec<String>,
    waived: &'static [&'static str],
}

impl Problems {
    /// Where these keys may be missing.
    pub(super) fn waiving(waived: &'static [&'static str]) -> Self {
        Self {
            waived,
            ..Self::default()
        }
    }

    /// Reports that `key` has to be given, unless it may be missing.
    pub(super) fn add_missing(&mut self, key: &str, flag: &str) {
        if !self.waived.contains(&key) {
            self.add(key, super::missing(key, flag));
        }
    }

    /// Reports a problem with `key`, unless its value was refused before: one mistake, one message.
    pub(super) fn add(&mut self, key: &str, message: impl Into<String>) {
        if !self.is_broken(key) {
            let origin = self.origins.nearest(key).cloned();
            self.found.push(Problem {
                origin,
                key: key.to_owned(),
                message: message.into(),
            });
        }
    }

    /// Reports a problem whose origin is known better than its key.
    pub(super) fn add_at(&mut self, origin: Origin, key: &str, message: impl Into<String>) {
        self.found.push(Problem {
            origin: Some(origin),
            key: key.to_owned(),
            message: message.into(),
        });
    }

    /// Says that the value of `key` was refused: what is under it isn't there to be checked.
    pub(super) fn mark_broken(&mut self, key: &str) {
        self.broken.push(key.to_owned());
    }

    /// Whether the value of `key`, or one around it, was refused.
    pub(super) fn is_broken(&self, key: &str) -> bool {
        self.broken.iter().any(|broken| is_under(key, broken))
    }

    /// Whether any value at or under `key` was refused.
    pub(super) fn any_broken_under(&self, key: &str) -> bool {
        self.broken.iter().any(|broken| is_under(broken, key))
    }

    /// The value, if nothing was wrong.
    pub(super) fn finish<T>(mut self, value: Option<T>) -> Result<T, ConfigError> {
        match value {
            Some(value) if self.found.is_empty() => Ok(value),
            _ => {
                self.found.sort_by(|a, b| a.origin.cmp(&b.origin));
                Err(ConfigError { problems: self.found })
            }
        }
    }
}

/// Whether `key` is `parent` or something in it.
fn is_under(key: &str, parent: &str) -> bool {
    parent.is_empty()
        || key
            .strip_prefix(parent)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}
