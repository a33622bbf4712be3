//! From the merged tree to the typed configuration, in spite of mistakes: each is reported and taken out of the
//! tree until the rest can be read, so that one run reports them all.

use serde_path_to_error::{Path, Segment};
use toml::{Table, Value};

use super::Config;
use super::problem::{Origin, Problems};

/// Stands in for a URL that is missing or wrong, so that the other keys can be checked; never returned to a caller.
const PLACEHOLDER_URL: &str = "redis://localhost";

/// Reads the tree. `None` only when a mistake can't be taken out of it.
pub(super) fn config(mut root: Table, problems: &mut Problems) -> Option<Config> {
    require_url(&mut root, problems);
    loop {
        let error = match serde_path_to_error::deserialize::<_, Config>(Value::Table(root.clone())) {
            Ok(config) => return Some(config),
            Err(error) => error,
        };
        let message = error.inner().message().to_owned();
        let path = Location::of(error.path());
        if !path.read_as_scalar(&mut root, &message, problems) {
            path.report(&root, &message, problems);
            if !path.take_out(&mut root, problems) {
                return None;
            }
        }
    }
}

/// The one key that has no default and no meaningful empty value.
fn require_url(root: &mut Table, problems: &mut Problems) {
    let redis = root.entry("redis").or_insert_with(|| Value::Table(Table::new()));
    if let Value::Table(redis) = redis
        && !redis.contains_key("url")
    {
        problems.add_missing("redis.url", "--redis-url");
        problems.mark_broken("redis.url");
        redis.insert("url".to_owned(), Value::String(PLACEHOLDER_URL.to_owned()));
    }
}

enum Step {
    Key(String),
    Index(usize),
}

/// Where in the tree a mistake was found.
struct Location(Vec<Step>);

impl Location {
    fn of(path: &Path) -> Self {
        let steps = path.iter().filter_map(|segment| match segment {
            Segment::Seq { index } => Some(Step::Index(*index)),
            Segment::Map { key } => Some(Step::Key(key.clone())),
            Segment::Enum { .. } | Segment::Unknown => None,
        });
        Self(steps.collect())
    }

    fn key(&self) -> String {
        Self::text(&self.0)
    }

    fn text(steps: &[Step]) -> String {
        let mut text = String::new();
        for step in steps {
            match step {
                Step::Key(key) if text.is_empty() => text.push_str(key),
                Step::Key(key) => text.push_str(&format!(".{key}")),
                Step::Index(index) => text.push_str(&format!("[{index}]")),
            }
        }
        text
    }

    /// An environment variable is text until a key turns out to want a number or a boolean.
    fn read_as_scalar(&self, root: &mut Table, message: &str, problems: &Problems) -> bool {
        let from_env = matches!(problems.origins.exact(&self.key()), Some(Origin::Env(_)));
        if !from_env || !message.starts_with("invalid type") {
            return false;
        }
        let Some(value) = get_mut(root, &self.0) else {
            return false;
        };
        let Value::String(text) = &*value else {
            return false;
        };
        match super::env::parse(text) {
            Ok(scalar @ (Value::Integer(_) | Value::Float(_) | Value::Boolean(_))) => {
                *value = scalar;
                true
            }
            _ => false,
        }
    }

    /// Puts serde's message into words of our own, which quote no value: it may be a secret in the wrong place.
    fn report(&self, root: &Table, message: &str, problems: &mut Problems) {
        let key = self.key();
        if let Some(name) = message
            .strip_prefix("missing field `")
            .and_then(|rest| rest.strip_suffix('`'))
        {
            let key = if key.is_empty() {
                name.to_owned()
            } else {
                format!("{key}.{name}")
            };
            problems.add(&key, "is missing; add it to this table");
        } else if message.starts_with("unknown field") {
            problems.add(
                &key,
                unknown_key(message, if self.0.len() > 1 { "key" } else { "section" }),
            );
        } else if let Some(rest) = message.strip_prefix("unknown variant ") {
            problems.add(&key, format!("unknown value {rest}"));
        } else if let Some(expected) = expected(message) {
            let value = get(root, &self.0);
            let mut text = match value {
                _ if message.starts_with("invalid value") => format!("is out of range, expected {expected}"),
                Some(value) => format!("found {}, expected {expected}", describe(value)),
                None => format!("expected {expected}"),
            };
            // Text from the environment that should be a list or a table, and isn't quite.
            if let (Some(Value::String(value)), Some(Origin::Env(_))) = (value, problems.origins.exact(&key))
            {
                match super::env::parse(value) {
                    Err(error) if value.trim_start().starts_with(['[', '{']) => {
                        text.push_str(&format!(", but it isn't TOML: {error}"));
                    }
                    _ if expected == "a list" => text.push_str("; write it as TOML: [\"a\", \"b\"]"),
                    _ => {}
                }
            }
            problems.add(&key, text);
        } else {
            problems.add(&key, message.replace('\n', " "));
        }
    }

    /// Removes the value that was refused: the last key on the way to it, since an element taken from a list would
    /// shift the others away from their lines.
    fn take_out(&self, root: &mut Table, problems: &mut Problems) -> bool {
        let Some(at) = self.0.iter().rposition(|step| matches!(step, Step::Key(_))) else {
            return false;
        };
        let (around, Step::Key(name)) = (&self.0[..at], &self.0[at]) else {
            return false;
        };
        let key = Self::text(&self.0[..=at]);
        let removed = match around {
            [] => root.remove(name),
            _ => match get_mut(root, around) {
                Some(Value::Table(table)) => table.remove(name),
                _ => None,
            },
        };
        problems.mark_broken(&key);
        if key == "redis.url" || key == "redis" {
            let mut redis = Table::new();
            redis.insert("url".to_owned(), Value::String(PLACEHOLDER_URL.to_owned()));
            match root.get_mut("redis") {
                Some(Value::Table(table)) => table.extend(redis),
                _ => _ = root.insert("redis".to_owned(), Value::Table(redis)),
            }
        }
        removed.is_some()
    }
}

fn get<'a>(root: &'a Table, steps: &[Step]) -> Option<&'a Value> {
    let Some((Step::Key(first), rest)) = steps.split_first() else {
        return None;
    };
    rest.iter().try_fold(root.get(first)?, |value, step| match step {
        Step::Key(key) => value.get(key),
        Step::Index(index) => value.get(index),
    })
}

fn get_mut<'a>(root: &'a mut Table, steps: &[Step]) -> Option<&'a mut Value> {
    let Some((Step::Key(first), rest)) = steps.split_first() else {
        return None;
    };
    rest.iter()
        .try_fold(root.get_mut(first)?, |value, step| match step {
            Step::Key(key) => value.get_mut(key),
            Step::Index(index) => value.get_mut(index),
        })
}

/// ``unknown field `topic`, expected one of `topics`, …`` → what to write instead.
fn unknown_key(message: &str, what: &str) -> String {
    let mut names = message.split('`').skip(1).step_by(2);
    let unknown = names.next().unwrap_or_default();
    let known: Vec<_> = names.collect();
    match nearest(unknown, known.iter().copied()) {
        Some(name) => format!("unknown {what}; did you mean `{name}`?"),
        None => format!("unknown {what}; known here: {}", known.join(", ")),
    }
}

/// The known name that a misspelt one is likely to mean.
pub(super) fn nearest<'a>(unknown: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|name| (strsim::jaro_winkler(unknown, name), name))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

/// The Y of serde's `invalid type: X, expected Y`, in plain words; the X quotes the value and is left out.
fn expected(message: &str) -> Option<&str> {
    if !message.starts_with("invalid type: ") && !message.starts_with("invalid value: ") {
        return None;
    }
    let (_, expected) = message.rsplit_once(", expected ")?;
    Some(match expected {
        "a sequence" => "a list",
        "usize" | "u64" => "a whole number, zero or more",
        "u32" => "a whole number from 0 to 4294967295",
        "i32" => "a whole number up to 2147483647",
        "i16" => "a whole number up to 32767",
        "f64" => "a number",
        "a boolean" => "true or false",
        "a map" => "a table",
        expected if expected.starts_with("struct ") => "a table",
        expected => expected,
    })
}

fn describe(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a string",
        Value::Integer(_) => "a whole number",
        Value::Float(_) => "a number with a fraction",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a date",
        Value::Array(_) => "a list",
        Value::Table(_) => "a table",
    }
}
