//! Stage two: the grammar, from value to value.
//!
//! Every step takes the position where it starts and returns where it ends, so that the position stays in a register.
//! A step that fails notes why in the walk and returns `None`.

use super::super::extract::{Kind, Leaf};
use super::super::pointer::Node;
use super::super::text::checked;
use super::marks::Marks;
use super::{Expected, Failure, MAX_DEPTH};

pub(super) struct Walk<'t> {
    pub(super) text: &'t [u8],
    pub(super) marks: &'t Marks,
    pub(super) leaves: &'t mut [Leaf],
    pub(super) failure: Failure,
}

/// Where a value ends, and what it is.
#[derive(Clone, Copy)]
struct End {
    at: usize,
    kind: Kind,
}

impl Walk<'_> {
    /// Reads the whole text, which must hold one value and nothing else.
    pub(super) fn document(&mut self, root: &Node) -> Option<Kind> {
        let (start, first) = self.token(0);
        let value = self.value(start, first, 0, Some(root))?;
        let (end, _) = self.token(value.at);
        if end < self.text.len() {
            self.fail(end, Expected::End)?;
        }
        Some(value.kind)
    }

    /// Reads the value that starts at `start` with the byte `first`, `depth` levels down.
    #[inline(always)]
    fn value(&mut self, start: usize, first: u8, depth: u32, node: Option<&Node>) -> Option<End> {
        // The most frequent first: a jump table is hard to predict.
        let end = if first == b'"' {
            self.string(start)
        } else if matches!(first, b'0'..=b'9' | b'-') {
            self.number(start)
        } else {
            match first {
                b'{' => match node {
                    Some(node) => self.object_on_the_way(start, depth, node),
                    None => self.other_object(start, depth),
                },
                b'[' => match node {
                    Some(node) => self.array_on_the_way(start, depth, node),
                    None => self.other_array(start, depth),
                },
                b't' => self.word(start, b"true", Kind::Bool),
                b'f' => self.word(start, b"false", Kind::Bool),
                b'n' => self.word(start, b"null", Kind::Null),
                _ => self.fail(start, Expected::Value),
            }
        }?;
        if let Some(slot) = node.and_then(|node| node.slot) {
            self.leaves[slot] = Leaf {
                start,
                end: end.at,
                kind: end.kind,
            };
        }
        Some(end)
    }

    #[inline(never)]
    fn object_on_the_way(&mut self, open: usize, depth: u32, node: &Node) -> Option<End> {
        self.object(open, depth, Some(node))
    }

    /// Nothing in it is wanted.
    #[inline(never)]
    fn other_object(&mut self, open: usize, depth: u32) -> Option<End> {
        self.object(open, depth, None)
    }

    #[inline(never)]
    fn array_on_the_way(&mut self, open: usize, depth: u32, node: &Node) -> Option<End> {
        self.array(open, depth, Some(node))
    }

    /// Nothing in it is wanted.
    #[inline(never)]
    fn other_array(&mut self, open: usize, depth: u32) -> Option<End> {
        self.array(open, depth, None)
    }

    #[inline(always)]
    fn object(&mut self, open: usize, depth: u32, node: Option<&Node>) -> Option<End> {
        if depth == MAX_DEPTH {
            return self.fail(open, Expected::LessDepth);
        }
        let (mut at, mut byte) = self.token(open + 1);
        if byte == b'}' {
            return Some(End {
                at: at + 1,
                kind: Kind::Object,
            });
        }
        loop {
            if byte != b'"' {
                return self.fail(at, Expected::Name);
            }
            let name = self.string(at)?;
            let child = node.and_then(|node| self.wanted_member(node, at, name));
            if let Some(child) = child {
                // Of members with the same name the last one counts, with all that is in it.
                for &slot in &child.below {
                    self.leaves[slot] = Leaf::default();
                }
            }
            (at, byte) = self.token(name.at);
            if byte != b':' {
                return self.fail(at, Expected::Colon);
            }
            (at, byte) = self.token(at + 1);
            at = self.value(at, byte, depth + 1, child)?.at;
            (at, byte) = self.token(at);
            if byte != b',' {
                break;
            }
            (at, byte) = self.token(at + 1);
        }
        if byte == b'}' {
            Some(End {
                at: at + 1,
                kind: Kind::Object,
            })
        } else {
            self.fail(at, Expected::CommaOrBrace)
        }
    }

    /// The node that wants the member whose name starts at `open`.
    #[inline(always)]
    fn wanted_member<'n>(&self, node: &'n Node, open: usize, name: End) -> Option<&'n Node> {
        let raw = self.text.get(open + 1..name.at - 1)?;
        if name.kind == Kind::String {
            node.member(raw)
        } else {
            node.escaped_member(checked(raw))
        }
    }

    #[inline(always)]
    fn array(&mut self, open: usize, depth: u32, node: Option<&Node>) -> Option<End> {
        if depth == MAX_DEPTH {
            return self.fail(open, Expected::LessDepth);
        }
        let (mut at, mut byte) = self.token(open + 1);
        if byte == b']' {
            return Some(End {
                at: at + 1,
                kind: Kind::Array,
            });
        }
        for index in 0.. {
            let child = node.and_then(|node| node.element(index));
            at = self.value(at, byte, depth + 1, child)?.at;
            (at, byte) = self.token(at);
            if byte != b',' {
                break;
            }
            (at, byte) = self.token(at + 1);
        }
        if byte == b']' {
            Some(End {
                at: at + 1,
                kind: Kind::Array,
            })
        } else {
            self.fail(at, Expected::CommaOrBracket)
        }
    }

    /// Reads a string from its opening quote on.
    #[inline(always)]
    fn string(&mut self, open: usize) -> Option<End> {
        let at = self.marks.first_from(open + 1);
        if self.byte(at) == b'"' {
            Some(End {
                at: at + 1,
                kind: Kind::String,
            })
        } else {
            self.odd_string(at)
        }
    }

    /// Reads on from the first mark of a string, which is not its end.
    #[inline(never)]
    fn odd_string(&mut self, mut at: usize) -> Option<End> {
        while self.byte(at) == b'\\' {
            at = self.escape(at)?;
            at = self.marks.first_from(at);
        }
        match self.text.get(at) {
            Some(b'"') => Some(End {
                at: at + 1,
                kind: Kind::EscapedString,
            }),
            Some(_) => self.fail(at, Expected::NoControl),
            None => self.fail(at, Expected::Quote),
        }
    }

    /// Reads an escape from its backslash on.
    fn escape(&mut self, backslash: usize) -> Option<usize> {
        let at = backslash + 1;
        match self.byte(at) {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(at + 1),
            b'u' => {
                let digits = self.text.get(at + 1..at + 5);
                if digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
                    Some(at + 5)
                } else {
                    self.fail(at, Expected::HexDigits)
                }
            }
            _ => self.fail(at, Expected::Escape),
        }
    }

    fn number(&mut self, start: usize) -> Option<End> {
        let mut kind = Kind::Integer;
        let mut at = start + usize::from(self.byte(start) == b'-');
        if self.byte(at) == b'0' {
            at += 1;
        } else {
            at = self.digits(at)?;
        }
        if self.byte(at) == b'.' {
            kind = Kind::Float;
            at = self.digits(at + 1)?;
        }
        if matches!(self.byte(at), b'e' | b'E') {
            kind = Kind::Float;
            at += 1;
            at += usize::from(matches!(self.byte(at), b'+' | b'-'));
            at = self.digits(at)?;
        }
        Some(End { at, kind })
    }

    #[inline(always)]
    fn digits(&mut self, start: usize) -> Option<usize> {
        if !self.byte(start).is_ascii_digit() {
            return self.fail(start, Expected::Digit);
        }
        let mut at = start + 1;
        while self.byte(at).is_ascii_digit() {
            at += 1;
        }
        Some(at)
    }

    #[inline(always)]
    fn word(&mut self, start: usize, word: &[u8], kind: Kind) -> Option<End> {
        let at = start + word.len();
        if self.text.get(start..at) == Some(word) {
            Some(End { at, kind })
        } else {
            self.fail(start, Expected::Value)
        }
    }

    /// The next byte that is no whitespace, and where it is.
    #[inline(always)]
    fn token(&self, at: usize) -> (usize, u8) {
        let byte = self.byte(at);
        if byte > b' ' {
            (at, byte)
        } else {
            self.token_behind_whitespace(at)
        }
    }

    #[inline(never)]
    fn token_behind_whitespace(&self, mut at: usize) -> (usize, u8) {
        while matches!(self.byte(at), b' ' | b'\n' | b'\t' | b'\r') {
            at += 1;
        }
        (at, self.byte(at))
    }

    /// The byte at `at`; NUL, which no JSON text holds outside a string, stands for the end.
    #[inline(always)]
    fn byte(&self, at: usize) -> u8 {
        self.text.get(at).copied().unwrap_or(0)
    }

    #[cold]
    #[inline(never)]
    fn fail<T>(&mut self, at: usize, expected: Expected) -> Option<T> {
        self.failure = Failure { at, expected };
        None
    }
}
