//! Which records are wanted, by what they are about: the filter of `replay`.

use super::envelope::Envelope;
use super::extract::Kind;
use super::source::Datum;
use super::text::{Unescaped, checked, inside};

/// An empty list wants everything; different lists all have to fit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// `type` is one of these.
    pub types: Vec<String>,
    /// `source_type` is one of these; a route whose channels don't use it has none.
    pub source_types: Vec<String>,
    /// `source_id` is one of these.
    pub source_ids: Vec<String>,
}

impl Wanted {
    /// Whether it wants this record.
    pub(super) fn admits(&self, envelope: &Envelope<'_>) -> bool {
        let fits =
            |wanted: &[String], datum| wanted.is_empty() || wanted.iter().any(|text| is_text(datum, text));
        fits(&self.types, envelope.kind)
            && fits(&self.source_types, envelope.source_type)
            && fits(&self.source_ids, envelope.source_id)
    }
}

/// Whether a value is written like this, its escapes resolved.
fn is_text(datum: Datum<'_>, text: &str) -> bool {
    match datum {
        Datum::Text(value) => value == text,
        Datum::Json {
            raw,
            kind: Kind::String,
        } => inside(raw) == text.as_bytes(),
        Datum::Json {
            raw,
            kind: Kind::EscapedString,
        } => Unescaped::new(checked(inside(raw)))
            .map(Result::ok)
            .eq(text.chars().map(Some)),
        Datum::Json { raw, .. } => raw == text.as_bytes(),
        Datum::Number(number) => itoa::Buffer::new().format(number) == text,
        Datum::Absent | Datum::Coordinates | Datum::NotUtf8 => false,
    }
}
