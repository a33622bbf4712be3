//! One look at a finished channel, sixteen bytes at a time: nearly all channels are plain.

use wide::u8x16;

const LANES: usize = 16;

/// What is seen in a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    /// It has a brace, or a byte that is not printable ASCII.
    pub(super) is_odd: bool,
    /// Nothing stands before, between or behind a colon, or nothing at all.
    pub(super) has_empty_segment: bool,
}

impl Look {
    /// Looks at the bytes from `start` on.
    #[inline(always)]
    pub(super) fn at(bytes: &mut Vec<u8>, start: usize) -> Self {
        // As if it stood between colons: then an empty segment is two colons in a row, wherever it is.
        let end = bytes.len();
        bytes.extend_from_slice(b":...............");
        let mut odd = u8x16::ZERO;
        let mut in_a_row = 0;
        let mut before = 1;
        for lanes in bytes[start..].as_chunks::<LANES>().0 {
            let lanes = u8x16::new(*lanes);
            odd |= not_plain(lanes);
            let colons = lanes.simd_eq(u8x16::splat(b':')).to_bitmask();
            in_a_row |= colons & (colons << 1 | before);
            before = colons >> (LANES - 1);
        }
        bytes.truncate(end);
        Self {
            is_odd: odd.to_bitmask() != 0,
            has_empty_segment: in_a_row != 0,
        }
    }
}

/// All ones in each lane that is a brace, or not printable ASCII.
#[inline(always)]
fn not_plain(bytes: u8x16) -> u8x16 {
    let printable = bytes
        .max(u8x16::splat(b' '))
        .min(u8x16::splat(b'~'))
        .simd_eq(bytes);
    !printable | bytes.simd_eq(u8x16::splat(b'{')) | bytes.simd_eq(u8x16::splat(b'}'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn assert_seen(channel: &[u8]) {
        // Behind another channel, as in the buffer of a record.
        let mut bytes = b"{:".to_vec();
        bytes.extend_from_slice(channel);
        let whole = bytes.clone();
        let expected = Look {
            is_odd: channel
                .iter()
                .any(|&byte| !matches!(byte, b' '..=b'~') || matches!(byte, b'{' | b'}')),
            has_empty_segment: channel.split(|&byte| byte == b':').any(<[u8]>::is_empty),
        };
        assert_eq!(
            Look::at(&mut bytes, 2),
            expected,
            "{:?}",
            channel.escape_ascii().to_string()
        );
        assert_eq!(bytes, whole, "left as it was");
    }

    #[test]
    fn each_byte_is_judged_alike_at_each_place() {
        for byte in 0..=u8::MAX {
            for at in 0..2 * LANES {
                let mut channel = [b'a'; 2 * LANES];
                channel[at] = byte;
                assert_seen(&channel);
            }
        }
    }

    #[test]
    fn an_empty_segment_is_seen_wherever_it_is() {
        for length in 0..=3 * LANES {
            for at in 0..length {
                let mut channel = vec![b'a'; length];
                channel[at] = b':';
                assert_seen(&channel);
                channel[length - 1 - at] = b':';
                assert_seen(&channel);
                channel[(at + 1) % length] = b':';
                assert_seen(&channel);
            }
            assert_seen(&vec![b'a'; length]);
        }
    }

    proptest! {
        #[test]
        fn it_sees_what_a_look_at_byte_after_byte_sees(
            channel in prop::collection::vec(
                prop_oneof![6 => Just(b'a'), 2 => Just(b':'), 1 => any::<u8>()],
                0..4 * LANES
            )
        ) {
            assert_seen(&channel);
        }
    }
}
