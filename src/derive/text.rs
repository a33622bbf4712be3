//! JSON strings (RFC 8259, section 7): finding their end, escaping and unescaping them.

const LANES: usize = size_of::<u64>();
const ONES: u64 = u64::from_ne_bytes([0x01; LANES]);
const HIGHS: u64 = u64::from_ne_bytes([0x80; LANES]);

/// The first position from `at` on that holds a quote, a backslash or a control character, or the end.
#[inline]
pub(super) fn end_of_plain_run(bytes: &[u8], mut at: usize) -> usize {
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk::<LANES>) {
        let special = special_lanes(u64::from_le_bytes(*chunk));
        if special != 0 {
            return at + special.trailing_zeros() as usize / 8;
        }
        at += LANES;
    }
    while bytes
        .get(at)
        .is_some_and(|&b| b >= 0x20 && b != b'"' && b != b'\\')
    {
        at += 1;
    }
    at
}

/// Sets the high bit of lanes that need attention. A borrow can only set bits above the first real hit, and only the
/// lowest is used.
#[inline]
fn special_lanes(chunk: u64) -> u64 {
    let below_space = chunk.wrapping_sub(ONES * 0x20) & !chunk;
    let equal_to = |byte: u8| {
        let differing = chunk ^ (ONES * u64::from(byte));
        differing.wrapping_sub(ONES) & !differing
    };
    (below_space | equal_to(b'"') | equal_to(b'\\')) & HIGHS
}

/// Appends `text` as a JSON string, quotes included.
pub(super) fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    write_escaped(out, text);
    out.push(b'"');
}

/// Appends `text` as the inside of a JSON string.
pub(super) fn write_escaped(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let bytes = text.as_bytes();
    let mut at = 0;
    loop {
        let end = end_of_plain_run(bytes, at);
        out.extend_from_slice(&bytes[at..end]);
        let Some(&special) = bytes.get(end) else { return };
        match special {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', special]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => {
                let (high, low) = (HEX[usize::from(special >> 4)], HEX[usize::from(special & 0xf)]);
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
            }
        }
        at = end + 1;
    }
}

/// An escape that names half of a surrogate pair, which is no character (RFC 8259, section 8.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct UnpairedSurrogate;

/// The characters of a JSON text whose syntax has been checked, with the escapes resolved.
pub(super) struct Unescaped<'a> {
    rest: std::str::Chars<'a>,
}

impl<'a> Unescaped<'a> {
    pub(super) fn new(raw: &'a str) -> Self {
        Self { rest: raw.chars() }
    }

    fn hex4(&mut self) -> Result<u32, UnpairedSurrogate> {
        let digits = self.rest.as_str().get(..4).ok_or(UnpairedSurrogate)?;
        let unit = u32::from_str_radix(digits, 16).map_err(|_| UnpairedSurrogate)?;
        self.rest = self.rest.as_str()[4..].chars();
        Ok(unit)
    }

    fn code_point(&mut self) -> Result<char, UnpairedSurrogate> {
        let first = self.hex4()?;
        if !(0xd800..0xdc00).contains(&first) {
            return char::from_u32(first).ok_or(UnpairedSurrogate);
        }
        let Some(after) = self.rest.as_str().strip_prefix("\\u") else {
            return Err(UnpairedSurrogate);
        };
        self.rest = after.chars();
        match self.hex4()? {
            second @ 0xdc00..0xe000 => {
                char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00))
                    .ok_or(UnpairedSurrogate)
            }
            _ => Err(UnpairedSurrogate),
        }
    }
}

impl Iterator for Unescaped<'_> {
    type Item = Result<char, UnpairedSurrogate>;

    fn next(&mut self) -> Option<Self::Item> {
        let c = self.rest.next()?;
        if c != '\\' {
            return Some(Ok(c));
        }
        Some(match self.rest.next()? {
            'b' => Ok('\u{8}'),
            'f' => Ok('\u{c}'),
            'n' => Ok('\n'),
            'r' => Ok('\r'),
            't' => Ok('\t'),
            'u' => self.code_point(),
            itself => Ok(itself),
        })
    }
}

/// Whether a JSON text (of any type) has an escape that is no character.
pub(super) fn has_unpaired_surrogate(raw: &[u8]) -> bool {
    memchr::memchr(b'\\', raw).is_some() && Unescaped::new(checked(raw)).any(|c| c.is_err())
}

/// What is known to be UTF-8, as text.
pub(super) fn checked(raw: &[u8]) -> &str {
    std::str::from_utf8(raw).unwrap_or_default()
}

/// What stands between the quotes of a JSON string.
#[inline(always)]
pub(super) fn inside(raw: &[u8]) -> &[u8] {
    raw.get(1..raw.len().saturating_sub(1)).unwrap_or_default()
}
