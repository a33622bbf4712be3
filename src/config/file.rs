//! The configuration file: TOML, read so that every key keeps its line.

use std::path::Path;

use toml::{Table, Value};
use toml_edit::{Document, Item, Key, TableLike};

use super::problem::{Origin, Problems};

/// Reads the file into `root`. `None` when it can't be read or isn't TOML; the problem is reported.
pub(super) fn read(path: &Path, problems: &mut Problems) -> Option<Table> {
    let file = path.display().to_string();
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            problems.add_at(
                Origin::File(file, None),
                "",
                format!("the file can't be read: {error}"),
            );
            return None;
        }
    };
    problems.origins.replace("", Origin::File(file.clone(), None));
    match Document::parse(text.as_str()) {
        Ok(document) => {
            let mut lines = Lines {
                file,
                text: &text,
                problems,
            };
            Some(lines.table(document.as_table(), ""))
        }
        Err(error) => {
            let at = error.span().map(|span| line_of(&text, span.start));
            let message = error.message().split_whitespace().collect::<Vec<_>>().join(" ");
            problems.add_at(Origin::File(file, at), "", format!("this isn't TOML: {message}"));
            None
        }
    }
}

/// The line, counted from 1, of a byte of the text.
fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

/// Converts what `toml_edit` parsed and notes each key's line on the way.
struct Lines<'a> {
    file: String,
    text: &'a str,
    problems: &'a mut Problems,
}

impl Lines<'_> {
    fn table(&mut self, table: &dyn TableLike, key: &str) -> Table {
        let mut converted = Table::new();
        for (name, item) in table.iter() {
            let key = if key.is_empty() {
                name.to_owned()
            } else {
                format!("{key}.{name}")
            };
            self.note(&key, table.key(name).and_then(Key::span).or_else(|| item.span()));
            if let Some(value) = self.item(item, &key) {
                converted.insert(name.to_owned(), value);
            }
        }
        converted
    }

    fn item(&mut self, item: &Item, key: &str) -> Option<Value> {
        match item {
            Item::None => None,
            Item::Table(table) => Some(Value::Table(self.table(table, key))),
            Item::ArrayOfTables(tables) => {
                let mut converted = Vec::with_capacity(tables.len());
                for (n, table) in tables.iter().enumerate() {
                    let key = format!("{key}[{n}]");
                    self.note(&key, table.span());
                    converted.push(Value::Table(self.table(table, &key)));
                }
                Some(Value::Array(converted))
            }
            Item::Value(value) => Some(self.value(value, key)),
        }
    }

    fn value(&mut self, value: &toml_edit::Value, key: &str) -> Value {
        match value {
            toml_edit::Value::Array(items) => {
                let mut converted = Vec::with_capacity(items.len());
                for (n, item) in items.iter().enumerate() {
                    let key = format!("{key}[{n}]");
                    self.note(&key, item.span());
                    converted.push(self.value(item, &key));
                }
                Value::Array(converted)
            }
            toml_edit::Value::InlineTable(table) => Value::Table(self.table(table, key)),
            scalar => super::env::scalar(scalar),
        }
    }

    fn note(&mut self, key: &str, span: Option<std::ops::Range<usize>>) {
        if let Some(span) = span {
            let line = line_of(self.text, span.start);
            self.problems
                .origins
                .replace(key, Origin::File(self.file.clone(), Some(line)));
        }
    }
}
