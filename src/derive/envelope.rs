//! The four values that every notification or channel is made of, for one record.

use super::extract::Kind;
use super::source::{Datum, Input};
use super::text::has_unpaired_surrogate;
use super::{Reason, Rejection, Route};

/// A source that must give something, and how rejections call it.
#[derive(Debug)]
pub(super) struct Needed {
    pub(super) source: super::source::Source,
    /// For example ``source_id (`/repository/full_name`)``.
    pub(super) label: String,
}

/// The values, checked: each is non-empty text or a number.
#[derive(Debug)]
pub(super) struct Envelope<'a> {
    pub(super) id: Datum<'a>,
    pub(super) kind: Datum<'a>,
    /// Only read when a channel uses it.
    pub(super) source_type: Datum<'a>,
    pub(super) source_id: Datum<'a>,
}

impl<'a> Envelope<'a> {
    /// Reads the values in the order of the documentation; the first fault rejects the record.
    pub(super) fn read(route: &'a Route, input: &Input<'a>) -> Result<Self, Rejection> {
        let needed = |needed: &'a Needed| check(input.datum(&needed.source), &needed.label);
        Ok(Self {
            id: needed(&route.id)?,
            kind: needed(&route.kind)?,
            source_type: route.source_type.as_ref().map_or(Ok(Datum::Absent), needed)?,
            source_id: needed(&route.source_id)?,
        })
    }
}

fn check<'a>(datum: Datum<'a>, label: &str) -> Result<Datum<'a>, Rejection> {
    let (reason, fault) = match datum {
        Datum::Absent => (Reason::MissingField, "absent or null"),
        Datum::Text("") | Datum::Json { raw: "\"\"", .. } => (Reason::MissingField, "empty"),
        Datum::NotUtf8 => (Reason::WrongType, "not UTF-8 text"),
        Datum::Json {
            raw,
            kind: Kind::EscapedString,
        } if has_unpaired_surrogate(raw) => (
            Reason::InvalidJson,
            "a string with half a surrogate pair, which is no text",
        ),
        Datum::Json {
            kind: kind @ (Kind::Bool | Kind::Float | Kind::Array | Kind::Object),
            ..
        } => (Reason::WrongType, kind.name()),
        Datum::Json { .. } | Datum::Text(_) | Datum::Number(_) | Datum::Coordinates { .. } => {
            return Ok(datum);
        }
    };
    Err(Rejection::new(
        reason,
        format!("{label} is {fault}; a non-empty string or an integer is needed"),
    ))
}
