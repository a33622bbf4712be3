//! The four values that every notification or channel is made of, for one record.

use super::extract::Kind;
use super::source::{Datum, Input, Source};
use super::text::has_unpaired_surrogate;
use super::{Reason, Rejection, Route};

/// A source that must give something, and how rejections call it.
#[derive(Debug)]
pub(super) struct Needed {
    pub(super) source: Source,
    /// For example ``source_id (`/repository/full_name`)``.
    pub(super) label: String,
}

impl Needed {
    #[inline(always)]
    fn read<'a>(&'a self, input: &Input<'a>) -> Result<Datum<'a>, Rejection> {
        let datum = input.datum(&self.source);
        if is_usable(datum) {
            Ok(datum)
        } else {
            Err(reject(self, datum))
        }
    }
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
    #[inline(always)]
    pub(super) fn read(route: &'a Route, input: &Input<'a>) -> Result<Self, Rejection> {
        Ok(Self {
            id: route.id.read(input)?,
            kind: route.kind.read(input)?,
            source_type: match &route.source_type {
                Some(needed) => needed.read(input)?,
                None => Datum::Absent,
            },
            source_id: route.source_id.read(input)?,
        })
    }
}

#[inline(always)]
fn is_usable(datum: Datum<'_>) -> bool {
    match datum {
        // Two quotes are an empty string.
        Datum::Json {
            raw,
            kind: Kind::String,
        } => raw.len() > 2,
        Datum::Json {
            raw,
            kind: Kind::EscapedString,
        } => !has_unpaired_surrogate(raw),
        Datum::Json { kind, .. } => kind == Kind::Integer,
        Datum::Text(text) => !text.is_empty(),
        Datum::Number(_) | Datum::Coordinates => true,
        Datum::Absent | Datum::NotUtf8 => false,
    }
}

#[cold]
fn reject(needed: &Needed, datum: Datum<'_>) -> Rejection {
    let (reason, fault) = match datum {
        Datum::Absent => (Reason::MissingField, "absent or null"),
        Datum::Text(_)
        | Datum::Json {
            kind: Kind::String, ..
        } => (Reason::MissingField, "empty"),
        Datum::Json {
            kind: Kind::EscapedString,
            ..
        } => (
            Reason::InvalidJson,
            "a string with half a surrogate pair, which is no text",
        ),
        Datum::Json { kind, .. } => (Reason::WrongType, kind.name()),
        Datum::NotUtf8 | Datum::Number(_) | Datum::Coordinates => (Reason::WrongType, "not UTF-8 text"),
    };
    let label = &needed.label;
    Rejection::new(
        reason,
        format!("{label} is {fault}; a non-empty string or an integer is needed"),
    )
}
