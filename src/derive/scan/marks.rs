//! Stage one: where a string can end.
//!
//! A string ends at the next quote, unless a backslash or a control character comes first. All three get a mark, one
//! bit for each byte of the text. They are found without a branch, sixteen bytes at a time, whatever the text is;
//! the walk then jumps from a string's opening quote to its end instead of looking at what is between.

use wide::u8x16;

/// Bytes that share a word of marks.
const BLOCK: usize = u64::BITS as usize;
const LANES: usize = 16;

/// One bit for each byte of a text, the first byte's the lowest of the first word. The bits behind the last byte are
/// all set, one at least, so that a search always ends.
#[derive(Debug, Default)]
pub(in super::super) struct Marks {
    words: Vec<u64>,
    is_ascii: bool,
}

impl Marks {
    /// Marks another text; the memory, an eighth of the longest text, is used again.
    pub(in super::super) fn of(&mut self, text: &[u8]) {
        let (blocks, rest) = text.as_chunks::<BLOCK>();
        let mut all = u8x16::ZERO;
        self.words.clear();
        self.words
            .extend(blocks.iter().map(|block| marks(block, &mut all)));
        // Zeros are control characters, and so have marks.
        let mut last = [0; BLOCK];
        last[..rest.len()].copy_from_slice(rest);
        self.words.push(marks(&last, &mut all));
        self.is_ascii = all.to_bitmask() == 0;
    }

    /// Whether no byte of the text is above 127, and so the text is UTF-8 without a further look.
    pub(in super::super) fn is_ascii(&self) -> bool {
        self.is_ascii
    }

    /// The first marked position from `at` on, which may be as far as the end of the text.
    #[inline(always)]
    pub(super) fn first_from(&self, at: usize) -> usize {
        let mut start = at;
        while let Some(word) = self.words.get(start / BLOCK) {
            let marks = word >> (start % BLOCK);
            if marks != 0 {
                return start + marks.trailing_zeros() as usize;
            }
            start = (start / BLOCK + 1) * BLOCK;
        }
        at
    }
}

#[inline(always)]
fn marks(block: &[u8; BLOCK], all: &mut u8x16) -> u64 {
    let (lanes, _) = block.as_chunks::<LANES>();
    lanes.iter().rev().fold(0, |marks, lanes| {
        let bytes = u8x16::new(*lanes);
        *all |= bytes;
        marks << LANES | u64::from(marked(bytes).to_bitmask())
    })
}

/// All ones in each lane that gets a mark.
#[inline(always)]
fn marked(bytes: u8x16) -> u8x16 {
    // Swaps the quote (0x22) with the space (0x20), so that it is the only one behind the control characters.
    let swapped = bytes ^ u8x16::splat(b'"' ^ b' ');
    let quote_or_control = swapped.min(u8x16::splat(b' ')).simd_eq(swapped);
    quote_or_control | bytes.simd_eq(u8x16::splat(b'\\'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is marked, byte by byte.
    fn is_marked(byte: u8) -> bool {
        matches!(byte, b'"' | b'\\' | 0..b' ')
    }

    fn assert_found(text: &[u8]) {
        // Reused after a longer text, as between records.
        let mut marks = Marks::default();
        marks.of(&[b'"'; 1024]);
        marks.of(text);
        for at in 0..=text.len() {
            let plain = text[at..].iter().take_while(|&&byte| !is_marked(byte)).count();
            assert_eq!(marks.first_from(at), at + plain, "from {at} in {text:?}");
        }
    }

    #[test]
    fn each_byte_is_judged_alike_at_each_place_of_a_block() {
        for byte in 0..=u8::MAX {
            for at in 0..=2 * BLOCK {
                let mut text = [b'a'; 2 * BLOCK + 1];
                text[at] = byte;
                let mut marks = Marks::default();
                marks.of(&text);
                let expected = if is_marked(byte) { at } else { text.len() };
                assert_eq!(marks.first_from(0), expected, "{byte:#x} at {at}");
            }
        }
    }

    #[test]
    fn a_text_of_any_length_ends_with_a_mark() {
        (0..=3 * BLOCK).for_each(|length| assert_found(&vec![b' '; length]));
    }

    proptest! {
        #[test]
        fn the_first_mark_is_the_first_byte_that_needs_attention(
            text in prop::collection::vec(prop_oneof![8 => Just(b'a'), 1 => any::<u8>()], 0..4 * BLOCK)
        ) {
            assert_found(&text);
        }
    }
}
