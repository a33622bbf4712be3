//! Selectors: where a value comes from.

use super::pointer::Pointer;

/// The most bytes a selector may have, so that a rejection that quotes it stays short.
pub(super) const MAX_SELECTOR_BYTES: usize = 256;

const VALID_FORMS: &str = "a JSON Pointer into the value (`/field`, `/list/0/name`), `key`, `key:/pointer`, \
     `header:NAME`, `topic`, `partition`, `offset`, `timestamp`, `literal:TEXT`, and for `id` alone `coordinates`";

/// A parsed selector. Two that are equal always give the same value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Selector {
    /// A JSON Pointer into the value.
    Value(Pointer),
    /// The key as text.
    Key,
    /// A JSON Pointer into the key.
    KeyJson(Pointer),
    /// The last header of that name.
    Header(String),
    Topic,
    Partition,
    Offset,
    /// The record's timestamp in milliseconds.
    Timestamp,
    /// The text itself.
    Literal(String),
    /// `topic-partition-offset`.
    Coordinates,
}

impl Selector {
    /// Parses a selector; the message of a bad one lists the valid forms.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_SELECTOR_BYTES {
            return Err(format!(
                "a selector may have at most {MAX_SELECTOR_BYTES} bytes; this one has {}",
                text.len()
            ));
        }
        match text {
            "key" => return Ok(Self::Key),
            "topic" => return Ok(Self::Topic),
            "partition" => return Ok(Self::Partition),
            "offset" => return Ok(Self::Offset),
            "timestamp" => return Ok(Self::Timestamp),
            "coordinates" => return Ok(Self::Coordinates),
            _ => {}
        }
        if text.starts_with('/') {
            return Pointer::parse(text).map(Self::Value);
        }
        match text.split_once(':') {
            Some(("key", pointer)) => Pointer::parse(pointer).map(Self::KeyJson),
            Some(("header", name)) if !name.is_empty() => Ok(Self::Header(name.to_owned())),
            Some(("literal", value)) if !value.is_empty() => Ok(Self::Literal(value.to_owned())),
            Some((form @ ("header" | "literal"), _)) => Err(format!("`{text}` has nothing after `{form}:`")),
            _ => Err(format!("`{text}` is not a selector; valid are {VALID_FORMS}")),
        }
    }

    /// Whether it differs for every record of a partition, or nearly so.
    pub(super) fn is_per_record(&self) -> bool {
        matches!(self, Self::Offset | Self::Timestamp | Self::Coordinates)
    }
}
