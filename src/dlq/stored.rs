//! A dead letter as it is found on the topic: what was wrong, and the record that it was.
//!
//! Anybody may write to the topic, so nothing is taken for granted: what isn't there is `None`.

use std::fmt;

use jiff::Timestamp;
use rdkafka::message::{BorrowedMessage, Message as _};
use serde::Serialize;

use super::letter::{
    FAILED_AT, GROUP, MESSAGE, OFFSET, OMITTED, ORIGINAL_TIMESTAMP, OURS, PARTITION, REASON, REPLAY_COUNT,
    TOPIC, VALUE_SHA256, VERSION,
};
use crate::record::{Headers, Record};
use crate::source::message::MessageHeaders;

/// Headers in their order.
pub type HeaderList = Vec<(String, Option<Vec<u8>>)>;

/// Where a record failed first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Origin {
    /// Its topic.
    pub topic: String,
    /// Its partition there.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]@{}", self.topic, self.partition, self.offset)
    }
}

/// A dead letter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredLetter {
    /// Its partition of the dead-letter topic.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// When it was written, in milliseconds since the epoch.
    pub written_ms: Option<i64>,
    /// The record's key.
    pub key: Option<Vec<u8>>,
    /// The record's value, unless it was left out.
    pub value: Option<Vec<u8>>,
    /// The record's own headers.
    pub headers: HeaderList,
    /// Where it failed first.
    pub origin: Option<Origin>,
    /// The group that gave it up.
    pub group: Option<String>,
    /// What was wrong, in words.
    pub message: Option<String>,
    /// What was wrong, as a word.
    pub reason: Option<String>,
    /// When it became a dead letter.
    pub failed_at: Option<Timestamp>,
    /// The record's own time.
    pub original_timestamp: Option<Timestamp>,
    /// The version of the bridge that wrote it.
    pub version: Option<String>,
    /// How often it was replayed.
    pub replay_count: Option<u32>,
    /// What had to be left out: `value` or `value,headers`.
    pub omitted: Option<String>,
    /// SHA-256 of the value that was left out, in hex.
    pub value_sha256: Option<String>,
}

impl StoredLetter {
    /// Reads a record of the dead-letter topic.
    pub fn read(message: &BorrowedMessage<'_>) -> Self {
        Self {
            partition: message.partition(),
            offset: message.offset(),
            written_ms: message.timestamp().to_millis(),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            ..Self::described(MessageHeaders::of(message).to_vec())
        }
    }

    /// What the headers say.
    fn described(all: HeaderList) -> Self {
        let text = |name: &str| text(&all, name);
        let origin = || {
            Some(Origin {
                topic: text(TOPIC)?,
                partition: text(PARTITION)?.parse().ok()?,
                offset: text(OFFSET)?.parse().ok()?,
            })
        };
        let time = |name: &str| text(name)?.parse().ok();
        let described = Self {
            origin: origin(),
            group: text(GROUP),
            message: text(MESSAGE),
            reason: text(REASON),
            failed_at: time(FAILED_AT),
            original_timestamp: time(ORIGINAL_TIMESTAMP),
            version: text(VERSION),
            replay_count: text(REPLAY_COUNT).and_then(|count| count.parse().ok()),
            omitted: text(OMITTED),
            value_sha256: text(VALUE_SHA256),
            ..Self::default()
        };
        let is_theirs = |(name, _): &(String, _)| !OURS.contains(&name.as_str());
        Self {
            headers: all.into_iter().filter(is_theirs).collect(),
            ..described
        }
    }

    /// When it became a dead letter: as it says, or as the topic says.
    pub fn time(&self) -> Option<Timestamp> {
        let written = || Timestamp::from_millisecond(self.written_ms?).ok();
        self.failed_at.or_else(written)
    }

    /// Whether its value was too large for the topic, so that only the source has it.
    pub fn is_without_value(&self) -> bool {
        self.omitted.is_some()
    }

    /// Whether its headers were left out as well.
    pub fn is_without_headers(&self) -> bool {
        self.omitted.as_deref() == Some("value,headers")
    }

    /// The record as it was read from its topic. `None` where the letter doesn't say where that was.
    pub fn record(&self) -> Option<Record<'_>> {
        let origin = self.origin.as_ref()?;
        Some(Record {
            topic: &origin.topic,
            partition: origin.partition,
            offset: origin.offset,
            timestamp_ms: self.original_timestamp.map(Timestamp::as_millisecond),
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            headers: &self.headers,
        })
    }
}

fn text(headers: &HeaderList, name: &str) -> Option<String> {
    let value = headers.last(name).flatten()?;
    Some(String::from_utf8_lossy(value).into_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn header(name: &str, value: &str) -> (String, Option<Vec<u8>>) {
        (name.to_owned(), Some(value.as_bytes().to_vec()))
    }

    #[test]
    fn a_letter_is_taken_apart_into_what_was_wrong_and_the_record_that_it_was() {
        let letter = StoredLetter::described(vec![
            header("mine", "1"),
            ("null".to_owned(), None),
            header(TOPIC, "orders"),
            header(PARTITION, "3"),
            header(OFFSET, "77"),
            header(REASON, "wrong_type"),
            header(FAILED_AT, "2026-01-31T12:00:00.123Z"),
            header(ORIGINAL_TIMESTAMP, "2026-01-31T11:00:00Z"),
            header(REPLAY_COUNT, "2"),
        ]);
        assert_eq!(letter.headers, [header("mine", "1"), ("null".to_owned(), None)]);
        assert_eq!(letter.reason.as_deref(), Some("wrong_type"));
        assert_eq!(letter.replay_count, Some(2));
        assert_eq!(letter.time(), "2026-01-31T12:00:00.123Z".parse().ok());
        let record = letter.record().unwrap();
        assert_eq!((record.topic, record.partition, record.offset), ("orders", 3, 77));
        assert_eq!(record.timestamp_ms, Some(1_769_857_200_000));
        assert_eq!(record.headers.last("mine"), Some(Some(b"1".as_slice())));
    }

    #[test]
    fn a_record_of_somebody_else_is_no_trouble() {
        let foreign = StoredLetter::described(vec![
            header("a", "b"),
            header(PARTITION, "three"),
            header(FAILED_AT, "?"),
        ]);
        let nothing = StoredLetter {
            headers: vec![header("a", "b")],
            ..StoredLetter::default()
        };
        assert_eq!(foreign, nothing);
        assert!(foreign.record().is_none());
        let written = StoredLetter {
            written_ms: Some(0),
            ..foreign
        };
        assert_eq!(written.time(), Some(Timestamp::UNIX_EPOCH));
    }
}
