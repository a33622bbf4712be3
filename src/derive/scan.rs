//! One pass over a JSON text (RFC 8259): checks all of it and notes where the wanted values are.
//!
//! Not serde_json, for three reasons. Its skipping of unwanted values keeps a stack on the heap, an allocation for
//! every record that nests; a value that is wanted itself and holds other wanted ones would have to be read twice;
//! and its errors tell line and column and may quote the value. The verdict on a text is the same, and the property
//! tests hold the two against each other, but for two things that the grammar allows and nothing here depends on:
//! numbers beyond a double, and escapes of half a surrogate pair in values that nobody asked for.

use super::extract::{Kind, Leaf};
use super::pointer::Node;
use super::text::{Unescaped, end_of_plain_run};

/// How deep objects and arrays may nest, the usual limit of JSON parsers. It bounds the scanner's recursion.
const MAX_DEPTH: u32 = 128;
const _: () = assert!(MAX_DEPTH == 128, "`Expected::LessDepth` names it");

/// What was expected at the position where the scanner stopped. Small, so that results travel in registers.
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

type Scan<T> = Result<T, Expected>;

pub(super) struct Scanner<'t> {
    bytes: &'t [u8],
    at: usize,
    depth: u32,
}

impl<'t> Scanner<'t> {
    pub(super) fn new(bytes: &'t [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            depth: 0,
        }
    }

    /// How far it has come: after an error, the byte that is wrong.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// Reads the whole text, which must hold one value and nothing else.
    pub(super) fn document(&mut self, root: &Node, leaves: &mut [Leaf]) -> Scan<Kind> {
        self.skip_whitespace();
        let kind = self.value(Some(root), leaves)?;
        self.skip_whitespace();
        if self.at == self.bytes.len() {
            Ok(kind)
        } else {
            Err(Expected::End)
        }
    }

    #[inline(always)]
    fn value(&mut self, node: Option<&Node>, leaves: &mut [Leaf]) -> Scan<Kind> {
        let start = self.at;
        let kind = match self.peek() {
            b'"' => self.string()?,
            b'{' => self.object(node, leaves)?,
            b'[' => self.array(node, leaves)?,
            b'-' | b'0'..=b'9' => self.number()?,
            b't' => self.word(b"true", Kind::Bool)?,
            b'f' => self.word(b"false", Kind::Bool)?,
            b'n' => self.word(b"null", Kind::Null)?,
            _ => return Err(Expected::Value),
        };
        if let Some(slot) = node.and_then(|node| node.slot) {
            leaves[slot] = Leaf {
                start,
                end: self.at,
                kind,
            };
        }
        Ok(kind)
    }

    #[inline(never)]
    fn object(&mut self, node: Option<&Node>, leaves: &mut [Leaf]) -> Scan<Kind> {
        self.enter()?;
        if self.eat(b'}') {
            return Ok(self.leave(Kind::Object));
        }
        loop {
            let child = self.name(node)?;
            if let Some(child) = child {
                // Of members with the same name the last one counts, with all that is in it.
                child
                    .covered
                    .iter()
                    .for_each(|&slot| leaves[slot] = Leaf::default());
            }
            self.skip_whitespace();
            if !self.eat(b':') {
                return Err(Expected::Colon);
            }
            self.skip_whitespace();
            self.value(child, leaves)?;
            self.skip_whitespace();
            if self.eat(b'}') {
                return Ok(self.leave(Kind::Object));
            }
            if !self.eat(b',') {
                return Err(Expected::CommaOrBrace);
            }
            self.skip_whitespace();
        }
    }

    /// Reads a member's name and returns the node that wants the member.
    #[inline]
    fn name<'n>(&mut self, node: Option<&'n Node>) -> Scan<Option<&'n Node>> {
        let start = self.at + 1;
        if self.peek() != b'"' {
            return Err(Expected::Name);
        }
        let kind = self.string()?;
        let Some(node) = node else { return Ok(None) };
        let raw = &self.bytes[start..self.at - 1];
        if kind == Kind::String {
            return Ok(node.member(|name| name.as_bytes() == raw));
        }
        let raw = std::str::from_utf8(raw).unwrap_or_default();
        Ok(node.member(|name| Unescaped::new(raw).eq(name.chars().map(Ok))))
    }

    #[inline(never)]
    fn array(&mut self, node: Option<&Node>, leaves: &mut [Leaf]) -> Scan<Kind> {
        self.enter()?;
        if self.eat(b']') {
            return Ok(self.leave(Kind::Array));
        }
        for index in 0.. {
            self.value(node.and_then(|node| node.element(index)), leaves)?;
            self.skip_whitespace();
            if self.eat(b']') {
                break;
            }
            if !self.eat(b',') {
                return Err(Expected::CommaOrBracket);
            }
            self.skip_whitespace();
        }
        Ok(self.leave(Kind::Array))
    }

    #[inline]
    fn enter(&mut self) -> Scan<()> {
        if self.depth == MAX_DEPTH {
            return Err(Expected::LessDepth);
        }
        self.depth += 1;
        self.at += 1;
        self.skip_whitespace();
        Ok(())
    }

    #[inline]
    fn leave(&mut self, kind: Kind) -> Kind {
        self.depth -= 1;
        kind
    }

    /// Reads a string from its opening quote on.
    #[inline(always)]
    fn string(&mut self) -> Scan<Kind> {
        let mut kind = Kind::String;
        self.at += 1;
        loop {
            self.at = end_of_plain_run(self.bytes, self.at);
            match self.bytes.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(kind);
                }
                Some(b'\\') => {
                    kind = Kind::EscapedString;
                    self.escape()?;
                }
                Some(_) => return Err(Expected::NoControl),
                None => return Err(Expected::Quote),
            }
        }
    }

    fn escape(&mut self) -> Scan<()> {
        self.at += 1;
        match self.peek() {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {
                self.at += 1;
                Ok(())
            }
            b'u' => {
                let digits = self.bytes.get(self.at + 1..self.at + 5);
                if !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
                    return Err(Expected::HexDigits);
                }
                self.at += 5;
                Ok(())
            }
            _ => Err(Expected::Escape),
        }
    }

    fn number(&mut self) -> Scan<Kind> {
        let mut kind = Kind::Integer;
        self.eat(b'-');
        if !self.eat(b'0') {
            self.digits()?;
        }
        if self.eat(b'.') {
            kind = Kind::Float;
            self.digits()?;
        }
        if matches!(self.peek(), b'e' | b'E') {
            kind = Kind::Float;
            self.at += 1;
            if matches!(self.peek(), b'+' | b'-') {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(kind)
    }

    fn digits(&mut self) -> Scan<()> {
        let start = self.at;
        while self.peek().is_ascii_digit() {
            self.at += 1;
        }
        if self.at > start {
            Ok(())
        } else {
            Err(Expected::Digit)
        }
    }

    fn word(&mut self, word: &[u8], kind: Kind) -> Scan<Kind> {
        if !self.bytes[self.at..].starts_with(word) {
            return Err(Expected::Value);
        }
        self.at += word.len();
        Ok(kind)
    }

    /// The next byte; NUL, which no JSON text holds outside a string, stands for the end.
    #[inline]
    fn peek(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    #[inline(always)]
    fn eat(&mut self, byte: u8) -> bool {
        let hit = self.peek() == byte;
        self.at += usize::from(hit);
        hit
    }

    #[inline(always)]
    fn skip_whitespace(&mut self) {
        while matches!(self.peek(), b' ' | b'\n' | b'\t' | b'\r') {
            self.at += 1;
        }
    }
}
