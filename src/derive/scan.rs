//! Reads a JSON text (RFC 8259): checks all of it and notes where the wanted values are.
//!
//! In two stages: [`marks`] finds where strings can end, many bytes at a time and without a branch; [`walk`] checks the
//! grammar. Most bytes of a record are in strings, and the walk doesn't look at them.
//!
//! Not serde_json, for three reasons. Its skipping of unwanted values keeps a stack on the heap, an allocation for
//! every record that nests; a value that is wanted itself and holds other wanted ones would have to be read twice;
//! and its errors tell line and column and may quote the value. The verdict on a text is the same, and the property
//! tests hold the two against each other, but for two things that the grammar allows and nothing here depends on:
//! numbers beyond a double, and escapes of half a surrogate pair in values that nobody asked for.

mod marks;
mod walk;

pub(super) use marks::Marks;

use walk::Walk;

use super::extract::{Kind, Leaf};
use super::pointer::Node;

/// How deep objects and arrays may nest, the usual limit of JSON parsers. It bounds the walk's recursion.
const MAX_DEPTH: u32 = 128;
const _: () = assert!(MAX_DEPTH == 128, "`Expected::LessDepth` names it");

/// What was expected at the position where the walk stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    End,
    Value,
    Colon,
    CommaOrBrace,
    CommaOrBracket,
    Name,
    LessDepth,
    NoControl,
    Quote,
    HexDigits,
    Escape,
    Digit,
}

impl Expected {
    /// What was expected, for people.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::End => "nothing after the value",
            Self::Value => "a value",
            Self::Colon => "`:`",
            Self::CommaOrBrace => "`,` or `}`",
            Self::CommaOrBracket => "`,` or `]`",
            Self::Name => "a member name in quotes",
            Self::LessDepth => "at most 128 nested objects and arrays",
            Self::NoControl => "an escape in place of a control character",
            Self::Quote => "`\"`",
            Self::HexDigits => "`\\u` and four hexadecimal digits",
            Self::Escape => "a valid escape",
            Self::Digit => "a digit",
        }
    }
}

/// What is wrong with a text, and at which byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) at: usize,
    pub(super) expected: Expected,
}

/// Reads `text`, of which `marks` are, and fills the leaves that `root` wants. It must hold one value and nothing else.
pub(super) fn scan(text: &[u8], root: &Node, marks: &Marks, leaves: &mut [Leaf]) -> Result<Kind, Failure> {
    let mut walk = Walk {
        text,
        marks,
        leaves,
        failure: Failure {
            at: 0,
            expected: Expected::Value,
        },
    };
    walk.document(root).ok_or(walk.failure)
}
