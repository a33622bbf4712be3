//! W3C Trace Context, level 1 (<https://www.w3.org/TR/trace-context-1/>): reading `traceparent` and `tracestate`.

/// Bytes of a `traceparent` of version 00.
pub const TRACEPARENT_BYTES: usize = 55;
/// The most that is passed on of a `tracestate`: what the standard asks to be passed on at least.
pub const MAX_TRACESTATE_BYTES: usize = 512;

const SAMPLED: u8 = 0x01;

/// What a `traceparent` says: which trace, which span of it, and whether that was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace; not all zero.
    pub trace_id: [u8; 16],
    /// The span that wrote it; not all zero.
    pub span_id: [u8; 8],
    /// The trace flags.
    pub flags: u8,
}

impl TraceContext {
    /// Reads a `traceparent`; `None` when it isn't one. Of a version above 00 the part that is known is taken, as the
    /// standard asks.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let (known, rest) = text.split_first_chunk::<TRACEPARENT_BYTES>()?;
        let version = byte(known[0], known[1])?;
        let may_go_on = version != 0 && rest.first().is_none_or(|&next| next == b'-');
        let dashes = [known[2], known[35], known[52]];
        if version == 0xff || dashes != [b'-'; 3] || !(rest.is_empty() || may_go_on) {
            return None;
        }
        let trace_id: [u8; 16] = bytes(&known[3..35])?;
        let span_id: [u8; 8] = bytes(&known[36..52])?;
        let flags = byte(known[53], known[54])?;
        (trace_id != [0; 16] && span_id != [0; 8]).then_some(Self {
            trace_id,
            span_id,
            // Of another version's flags only this one has a known meaning.
            flags: if version == 0 { flags } else { flags & SAMPLED },
        })
    }

    /// Whether the span that wrote it was recorded.
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// Writes it as a `traceparent` of version 00.
    pub fn write(&self, out: &mut Vec<u8>) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        out.extend_from_slice(b"00");
        for part in [&self.trace_id[..], &self.span_id[..], &[self.flags][..]] {
            out.push(b'-');
            for byte in part {
                out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 0xf)]]);
            }
        }
    }
}

/// As much of a `tracestate` as is passed on: its first whole members within [`MAX_TRACESTATE_BYTES`]; the newest come
/// first. `None` when it has characters that no `tracestate` has. The members themselves are for their vendors to read.
pub fn tracestate(text: &[u8]) -> Option<&str> {
    if !text.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\t')) {
        return None;
    }
    let fitting = match text.get(..=MAX_TRACESTATE_BYTES) {
        None => text,
        Some(start) => &text[..start.iter().rposition(|&byte| byte == b',').unwrap_or(0)],
    };
    std::str::from_utf8(fitting).ok()
}

fn bytes<const N: usize>(hex: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    for (byte_of, digits) in bytes.iter_mut().zip(hex.chunks_exact(2)) {
        *byte_of = byte(digits[0], digits[1])?;
    }
    Some(bytes)
}

fn byte(high: u8, low: u8) -> Option<u8> {
    Some(digit(high)? << 4 | digit(low)?)
}

/// Lower case alone: the standard has no other.
fn digit(hex: u8) -> Option<u8> {
    match hex {
        b'0'..=b'9' => Some(hex - b'0'),
        b'a'..=b'f' => Some(hex - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn written(context: TraceContext) -> String {
        let mut out = Vec::new();
        context.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_standards_example_is_read_and_written() {
        let context = TraceContext::parse(EXAMPLE.as_bytes()).unwrap();
        assert_eq!(context.trace_id[..2], [0x4b, 0xf9]);
        assert_eq!(context.span_id[6..], [0x02, 0xb7]);
        assert!(context.is_sampled());
        assert_eq!(written(context), EXAMPLE);
        let unsampled = EXAMPLE.replace("-01", "-00");
        assert!(!TraceContext::parse(unsampled.as_bytes()).unwrap().is_sampled());
    }

    #[test]
    fn what_is_malformed_is_none() {
        let wrong = [
            String::new(),
            EXAMPLE[..54].to_owned(),
            format!("{EXAMPLE}-"),
            format!("{EXAMPLE}-00"),
            format!(" {EXAMPLE}"),
            EXAMPLE.replace("4bf9", "4BF9"),
            EXAMPLE.replace("4bf9", "4bg9"),
            EXAMPLE.replacen('-', "_", 1),
            EXAMPLE.replace("-01", "_01"),
            EXAMPLE.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            EXAMPLE.replace("00f067aa0ba902b7", &"0".repeat(16)),
            EXAMPLE.replacen("00", "ff", 1),
            EXAMPLE.replacen("00", "0x", 1),
            EXAMPLE.replacen("00", "cc", 1) + "x",
        ];
        for text in wrong {
            assert_eq!(TraceContext::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn of_a_later_version_the_known_part_is_taken() {
        let later = EXAMPLE.replacen("00", "cc", 1).replace("-01", "-ff");
        for text in [later.clone(), format!("{later}-what-will-be")] {
            let context = TraceContext::parse(text.as_bytes()).unwrap();
            assert_eq!(written(context), EXAMPLE);
        }
    }

    #[test]
    fn a_tracestate_is_cut_between_members() {
        assert_eq!(
            tracestate(b"rojo=00f067,congo=t61"),
            Some("rojo=00f067,congo=t61")
        );
        let member = |name: &str| format!("{name}={}", "v".repeat(253));
        let (a, b) = (member("a"), member("b"));
        assert_eq!(a.len() + b.len() + 1, 511);
        let fits = format!("{a},{b}x");
        assert_eq!(tracestate(fits.as_bytes()), Some(fits.as_str()));
        let long = format!("{a},{b}xx");
        assert_eq!(tracestate(long.as_bytes()), Some(a.as_str()));
        // A comma right behind the limit ends the last member that fits.
        assert_eq!(tracestate(format!("{fits},c=1").as_bytes()), Some(fits.as_str()));
        assert_eq!(tracestate("a".repeat(513).as_bytes()), Some(""));
        for wrong in ["a=\n", "a=é", "a=\0", "\u{7f}"] {
            assert_eq!(tracestate(wrong.as_bytes()), None, "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(trace_id in any::<[u8; 16]>(), span_id in any::<[u8; 8]>(), flags: u8) {
            let context = TraceContext { trace_id, span_id, flags };
            let expected = (trace_id != [0; 16] && span_id != [0; 8]).then_some(context);
            prop_assert_eq!(TraceContext::parse(written(context).as_bytes()), expected);
        }

        #[test]
        fn what_is_read_as_version_00_is_written_back_unchanged(
            text in "(00|0[0-9a-f]|[0-9a-gF]{2})-[0-9a-f]{31,32}-[0-9a-f]{16}-[0-9a-f]{2}(-.{0,3})?",
        ) {
            if let Some(context) = TraceContext::parse(text.as_bytes()) {
                if text.starts_with("00") {
                    prop_assert_eq!(written(context), text);
                } else {
                    prop_assert_eq!(&written(context)[3..52], &text[3..52]);
                }
            }
        }

        #[test]
        fn any_bytes_are_taken_calmly(bytes in prop::collection::vec(any::<u8>(), 0..700)) {
            let _ = TraceContext::parse(&bytes);
            if let Some(state) = tracestate(&bytes) {
                prop_assert!(state.len() <= MAX_TRACESTATE_BYTES && bytes.starts_with(state.as_bytes()));
            }
        }
    }
}
