//! How `dlq show` prints a dead letter for programs.

use jiff::Timestamp;
use serde::Serialize;

use super::row::hex;
use super::verdict::Verdict;
use crate::dlq::stored::{Origin, StoredLetter};

/// Text, or an object with hexadecimal digits where it is none.
#[derive(Serialize)]
#[serde(untagged)]
enum Bytes<'a> {
    Text(&'a str),
    Hex { hex: String },
}

impl<'a> Bytes<'a> {
    fn new(bytes: Option<&'a Vec<u8>>) -> Option<Self> {
        let bytes = bytes?;
        let hex = |_| Self::Hex { hex: hex(bytes) };
        Some(std::str::from_utf8(bytes).map_or_else(hex, Self::Text))
    }
}

#[derive(Serialize)]
struct HeaderShown<'a> {
    name: &'a str,
    value: Option<Bytes<'a>>,
}

impl<'a> HeaderShown<'a> {
    fn new((name, value): &'a (String, Option<Vec<u8>>)) -> Self {
        Self {
            name,
            value: Bytes::new(value.as_ref()),
        }
    }
}

#[derive(Serialize)]
struct Shown<'a> {
    partition: i32,
    offset: i64,
    resolved: bool,
    reason: Option<&'a str>,
    message: Option<&'a str>,
    source: Option<&'a Origin>,
    group: Option<&'a str>,
    version: Option<&'a str>,
    failed_at: Option<Timestamp>,
    original_timestamp: Option<Timestamp>,
    replay_count: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    omitted: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_sha256: Option<&'a str>,
    key: Option<Bytes<'a>>,
    value: Option<Bytes<'a>>,
    headers: Vec<HeaderShown<'a>>,
    now: &'a Verdict,
}

/// One object in a line.
pub fn json(letter: &StoredLetter, resolved: bool, now: &Verdict) -> serde_json::Result<String> {
    let shown = Shown {
        partition: letter.partition,
        offset: letter.offset,
        resolved,
        reason: letter.reason.as_deref(),
        message: letter.message.as_deref(),
        source: letter.origin.as_ref(),
        group: letter.group.as_deref(),
        version: letter.version.as_deref(),
        failed_at: letter.time(),
        original_timestamp: letter.original_timestamp,
        replay_count: letter.replay_count,
        omitted: letter.omitted.as_deref(),
        value_sha256: letter.value_sha256.as_deref(),
        key: Bytes::new(letter.key.as_ref()),
        value: Bytes::new(letter.value.as_ref()),
        headers: letter.headers.iter().map(HeaderShown::new).collect(),
        now,
    };
    Ok(serde_json::to_string(&shown)? + "\n")
}
