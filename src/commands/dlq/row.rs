//! What `dlq list` says of a dead letter.

use jiff::Timestamp;
use serde::Serialize;

use crate::commands::text::printable;
use crate::dlq::stored::{Origin, StoredLetter};

/// A dead letter without its content.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// Its partition of the dead-letter topic.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// When it became a dead letter.
    pub failed_at: Option<Timestamp>,
    reason: Option<String>,
    message: Option<String>,
    source: Option<Origin>,
    original_timestamp: Option<Timestamp>,
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_hex: Option<String>,
    value_bytes: Option<usize>,
    replay_count: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    omitted: Option<String>,
    resolved: bool,
}

impl Row {
    /// What is said of `letter`.
    pub fn new(letter: StoredLetter, resolved: bool) -> Self {
        let failed_at = letter.time();
        let key = letter.key.map(String::from_utf8).transpose();
        let (key, key_hex) = match key {
            Ok(key) => (key, None),
            Err(error) => (None, Some(hex(error.as_bytes()))),
        };
        Self {
            partition: letter.partition,
            offset: letter.offset,
            failed_at,
            reason: letter.reason,
            message: letter.message,
            source: letter.origin,
            original_timestamp: letter.original_timestamp,
            key,
            key_hex,
            value_bytes: letter.value.map(|value| value.len()),
            replay_count: letter.replay_count,
            omitted: letter.omitted,
            resolved,
        }
    }

    /// By age, letters of one partition in their order.
    pub fn age_order(&self) -> (Option<Timestamp>, i32, i64) {
        (self.failed_at, self.partition, self.offset)
    }

    /// The titles of [`Row::cells`].
    pub const TITLES: [&str; 6] = ["letter", "failed at", "reason", "source", "key", "what was wrong"];

    /// For a table.
    pub fn cells(&self) -> [String; 6] {
        let text =
            |text: Option<&str>| text.map_or_else(|| "–".to_owned(), |text| printable(text).into_owned());
        let mut letter = format!("{}:{}", self.partition, self.offset);
        if self.resolved {
            letter.push_str(" ✓");
        }
        let mut reason = text(self.reason.as_deref());
        if let Some(count) = self.replay_count.filter(|count| *count > 0) {
            reason.push_str(&format!(" (replayed {count}×)"));
        }
        [
            letter,
            text(self.failed_at.map(|time| format!("{time:.0}")).as_deref()),
            reason,
            text(self.source.as_ref().map(ToString::to_string).as_deref()),
            text(self.key.as_deref().or(self.key_hex.as_deref())),
            text(self.message.as_deref()),
        ]
    }
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
