//! Finds the wanted values of a JSON document, in one pass that also checks all of it.

use super::pointer::Paths;
use super::scan::{self, Failure, Marks};
use super::{Reason, Rejection};

/// What kind of value was found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Kind {
    #[default]
    Absent,
    Null,
    Bool,
    /// A number without fraction and exponent, of any length.
    Integer,
    Float,
    /// A string without escapes.
    String,
    /// A string with escapes.
    EscapedString,
    Array,
    Object,
}

/// Where a wanted value is. A place and not a slice, so that the buffer that holds it outlives the record.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Leaf {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) kind: Kind,
}

impl Leaf {
    /// The value as it stands in `text`, quotes included.
    pub(super) fn raw<'t>(&self, text: &'t str) -> &'t str {
        &text[self.start..self.end]
    }
}

/// Reads `bytes` as JSON and fills `leaves`, one per slot of `paths`. `what` names the document in a rejection.
pub(super) fn extract<'t>(
    what: &'static str,
    bytes: &'t [u8],
    paths: &Paths,
    marks: &mut Marks,
    leaves: &mut Vec<Leaf>,
) -> Result<&'t str, Rejection> {
    let text = simdutf8::basic::from_utf8(bytes).map_err(|_| not_utf8(what, bytes))?;
    leaves.clear();
    leaves.resize(paths.len(), Leaf::default());
    let kind =
        scan::scan(bytes, &paths.root, marks, leaves).map_err(|failure| not_json(what, bytes, failure))?;
    match kind {
        Kind::Object => Ok(text),
        Kind::Array if paths.root.wants_elements() => Ok(text),
        _ => Err(Rejection::new(
            Reason::NotAnObject,
            format!("{what}: {}, not a JSON object", kind.name()),
        )),
    }
}

#[cold]
fn not_json(what: &str, bytes: &[u8], Failure { at, expected }: Failure) -> Rejection {
    let end = if at < bytes.len() { "" } else { " (the end)" };
    Rejection::new(
        Reason::InvalidJson,
        format!("{what}, byte {at}{end}: expected {}", expected.as_str()),
    )
}

/// The fast check tells only that there is a fault: the slow one tells where.
#[cold]
fn not_utf8(what: &str, bytes: &[u8]) -> Rejection {
    let at = std::str::from_utf8(bytes).map_or_else(|e| e.valid_up_to(), str::len);
    Rejection::new(Reason::InvalidJson, format!("{what}, byte {at}: not UTF-8"))
}

impl Kind {
    /// The kind for people.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Absent => "nothing",
            Self::Null => "null",
            Self::Bool => "a boolean",
            Self::Integer => "an integer",
            Self::Float => "a number with a fraction or exponent",
            Self::String | Self::EscapedString => "a string",
            Self::Array => "an array",
            Self::Object => "an object",
        }
    }
}
