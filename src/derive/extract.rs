//! Finds the wanted values of a JSON document, in one pass that also checks all of it.

use super::pointer::Paths;
use super::scan::{self, Failure, Marks};
use super::{Reason, Rejection};

/// What kind of value was found. A word wide, since it is mostly copied beside words: pieces would have to be put
/// together on the way, and the processor waits for that.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(usize)]
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
    #[inline(always)]
    pub(super) fn raw<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        &text[self.start..self.end]
    }
}

/// Reads `bytes` as JSON and fills `leaves`, one per slot of `paths`. `what` names the document in a rejection.
pub(super) fn extract(
    what: &'static str,
    bytes: &[u8],
    paths: &Paths,
    marks: &mut Marks,
    leaves: &mut Vec<Leaf>,
) -> Result<(), Rejection> {
    marks.of(bytes);
    if !marks.is_ascii() && simdutf8::basic::from_utf8(bytes).is_err() {
        return Err(not_utf8(what, bytes));
    }
    leaves.clear();
    leaves.resize(paths.len(), Leaf::default());
    let kind =
        scan::scan(bytes, &paths.root, marks, leaves).map_err(|failure| not_json(what, bytes, failure))?;
    match kind {
        Kind::Object => Ok(()),
        Kind::Array if paths.root.wants_elements() => Ok(()),
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
    /// Whether a backslash can be in it.
    pub(super) fn may_have_escapes(self) -> bool {
        matches!(self, Self::EscapedString | Self::Array | Self::Object)
    }

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
