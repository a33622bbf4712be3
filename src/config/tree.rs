//! The layers of the configuration, merged into one tree that remembers where each value was written.

use toml::{Table, Value};

use super::problem::{Origin, Problems};

/// librdkafka's property names hold dots, so everything below this key is one name.
pub(super) const PROPERTIES: [&str; 2] = ["kafka", "properties"];

/// A value on its way into the tree, with the origins of what is inside it.
pub(super) struct Layer {
    /// The keys from the root to the value.
    pub(super) path: Vec<String>,
    /// The value.
    pub(super) value: Value,
    /// Where it was written.
    pub(super) origin: Origin,
}

/// Puts a layer over what is there: tables are merged key by key, all else is replaced.
pub(super) fn put(root: &mut Table, layer: Layer, problems: &mut Problems) {
    let mut table = root;
    let Some((last, parents)) = layer.path.split_last() else {
        return;
    };
    for (depth, parent) in parents.iter().enumerate() {
        let next = table
            .entry(parent.clone())
            .or_insert_with(|| Value::Table(Table::new()));
        match next {
            Value::Table(next) => table = next,
            other => {
                let what = if other.is_array() {
                    "a list: set it as a whole, as TOML"
                } else {
                    "not a table"
                };
                let around = join(&layer.path[..=depth]);
                let message = format!("can't be set, because `{around}` is {what}");
                return problems.add_at(layer.origin, &join(&layer.path), message);
            }
        }
    }
    let key = join(&layer.path);
    merge(table, last, layer.value, &key, &layer.origin, problems);
}

fn merge(table: &mut Table, name: &str, value: Value, key: &str, origin: &Origin, problems: &mut Problems) {
    let value = if key == "kafka.properties" {
        flat_properties(value)
    } else {
        value
    };
    let is_property = key
        .strip_prefix("kafka.properties")
        .is_some_and(|rest| !rest.is_empty());
    match (table.get_mut(name), value) {
        (Some(Value::Table(below)), Value::Table(above)) if !is_property => {
            for (name, value) in above {
                merge(below, &name, value, &format!("{key}.{name}"), origin, problems);
            }
        }
        (_, value) => {
            problems.origins.replace(key, origin.clone());
            table.insert(name.to_owned(), value);
        }
    }
}

/// A path as text: `kafka.topics`.
pub(super) fn join(path: &[String]) -> String {
    path.join(".")
}

/// Splits `redis.url` into its parts; what follows `kafka.properties` stays in one piece.
pub(super) fn split(key: &str) -> Vec<String> {
    match key.strip_prefix("kafka.properties.") {
        Some(name) => {
            let mut path = PROPERTIES.map(str::to_owned).to_vec();
            path.push(name.to_owned());
            path
        }
        None => key.split('.').map(str::to_owned).collect(),
    }
}

/// The same for the tree that the file starts.
pub(super) fn flatten_properties(root: &mut Table) {
    let Some(Value::Table(kafka)) = root.get_mut(PROPERTIES[0]) else {
        return;
    };
    if let Some(properties) = kafka.get_mut(PROPERTIES[1]) {
        *properties = flat_properties(std::mem::replace(properties, Value::Boolean(false)));
    }
}

/// TOML reads `fetch.min.bytes = 1` as three nested tables: brings them back to one property name.
fn flat_properties(properties: Value) -> Value {
    let Value::Table(properties) = properties else {
        return properties;
    };
    let mut flat = Table::new();
    for (name, value) in properties {
        flatten(&mut flat, name, value);
    }
    Value::Table(flat)
}

fn flatten(flat: &mut Table, name: String, value: Value) {
    match value {
        // `{ file = "…" }` is a value.
        Value::Table(table) if !table.is_empty() && !table.contains_key("file") => {
            for (part, value) in table {
                flatten(flat, format!("{name}.{part}"), value);
            }
        }
        value => {
            flat.insert(name, value);
        }
    }
}

/// Dates become text: no key wants TOML's own, and `start_from` may be written either way.
pub(super) fn without_dates(value: Value) -> Value {
    match value {
        Value::Datetime(date) => Value::String(date.to_string()),
        Value::Array(items) => Value::Array(items.into_iter().map(without_dates).collect()),
        Value::Table(table) => Value::Table(
            table
                .into_iter()
                .map(|(name, value)| (name, without_dates(value)))
                .collect(),
        ),
        other => other,
    }
}
