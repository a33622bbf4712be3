//! Environment variables: `KAFKA_REDIS_BRIDGE__REDIS__URL` is the key `redis.url`.

use toml::{Table, Value};

use super::problem::{Origin, Problems};
use super::tree::{self, Layer};

/// What the names of our variables start with.
pub(super) const PREFIX: &str = "KAFKA_REDIS_BRIDGE__";

/// Puts the variables over the tree. An empty variable counts as not set, as composed environments mean it.
pub(super) fn apply(env: impl Iterator<Item = (String, String)>, root: &mut Table, problems: &mut Problems) {
    let mut ours: Vec<_> = env
        .filter(|(name, text)| name.starts_with(PREFIX) && !text.is_empty())
        .collect();
    // The environment has no order of its own; sorted, a section comes before its keys.
    ours.sort();
    for (name, text) in ours {
        let path = path(&name[PREFIX.len()..]);
        if path.iter().any(String::is_empty) {
            let message =
                "names no key: something must stand before, between and after `__`, as in REDIS__URL";
            problems.add_at(Origin::Env(name), "", message.to_owned());
            continue;
        }
        let layer = Layer {
            path,
            value: value(&text),
            origin: Origin::Env(name),
        };
        tree::put(root, layer, problems);
    }
}

/// `KAFKA__GROUP_ID` → `kafka`, `group_id`.
fn path(name: &str) -> Vec<String> {
    let name = name.to_lowercase();
    match name.strip_prefix("kafka__properties__") {
        // Shells allow no dots in names, librdkafka's names hold no underscores: SASL_PASSWORD is sasl.password.
        Some(property) => {
            let mut path = tree::PROPERTIES.map(str::to_owned).to_vec();
            path.push(property.replace('_', "."));
            path
        }
        None => name.split("__").map(str::to_owned).collect(),
    }
}

/// Quoted text, lists and tables are TOML; anything else is taken as it stands. Text that only looks like TOML,
/// as a password may, stays text. Numbers and booleans are read when a key turns out to want one: a password may
/// also look like a number.
fn value(text: &str) -> Value {
    if text.trim_start().starts_with(['[', '{', '"', '\'']) {
        parse(text).unwrap_or_else(|_| Value::String(text.to_owned()))
    } else {
        Value::String(text.to_owned())
    }
}

/// Reads text as a TOML value.
pub(super) fn parse(text: &str) -> Result<Value, String> {
    match text.trim().parse::<toml_edit::Value>() {
        Ok(value) => Ok(convert(&value)),
        Err(error) => Err(error.message().split_whitespace().collect::<Vec<_>>().join(" ")),
    }
}

fn convert(value: &toml_edit::Value) -> Value {
    match value {
        toml_edit::Value::Array(items) => Value::Array(items.iter().map(convert).collect()),
        toml_edit::Value::InlineTable(table) => Value::Table(
            table
                .iter()
                .map(|(name, value)| (name.to_owned(), convert(value)))
                .collect(),
        ),
        other => scalar(other),
    }
}

/// A value that holds no others. Dates become text: `start_from` may be written either way.
pub(super) fn scalar(value: &toml_edit::Value) -> Value {
    match value {
        toml_edit::Value::String(text) => Value::String(text.value().clone()),
        toml_edit::Value::Integer(number) => Value::Integer(*number.value()),
        toml_edit::Value::Float(number) => Value::Float(*number.value()),
        toml_edit::Value::Boolean(flag) => Value::Boolean(*flag.value()),
        toml_edit::Value::Datetime(date) => Value::String(date.value().to_string()),
        other => convert(other),
    }
}
