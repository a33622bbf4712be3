//! The notes in the metadata of commits: `krb1` (where partitions start) and `krd1` (which dead letters are resolved).
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;

#[path = "../../tests/checks/notes.rs"]
mod checks;

#[derive(Arbitrary, Debug)]
enum Input<'a> {
    /// Anybody's text, marked as ours or not.
    Text { mark: u8, committed: i64, text: &'a str },
    /// Pairs as they stand in a note of resolved ranges.
    Pairs { committed: i64, pairs: Vec<(i64, i64)> },
    Start {
        born_ms: i64,
        seen_ms: i64,
        partitions: i32,
        names: Vec<&'a str>,
    },
    Resolved {
        committed: u8,
        ranges: Vec<(u8, u8)>,
        window: (u8, u8),
    },
}

fuzz_target!(|input: Input<'_>| {
    match input {
        Input::Text {
            mark,
            committed,
            text,
        } => {
            let mark = ["", "krb1 ", "krd1 "][usize::from(mark % 3)];
            checks::any_metadata_is_survived(&format!("{mark}{text}"), committed);
        }
        Input::Pairs { committed, pairs } => {
            let pairs: String = pairs
                .iter()
                .map(|(gap, length)| format!(" {gap}+{length}"))
                .collect();
            checks::any_metadata_is_survived(&format!("krd1{pairs}"), committed);
        }
        Input::Start {
            born_ms,
            seen_ms,
            partitions,
            names,
        } => {
            checks::a_note_reads_back(born_ms, seen_ms, partitions, &names);
        }
        Input::Resolved {
            committed,
            ranges,
            window,
        } => {
            checks::resolved_agrees_with_a_set(committed, &ranges, window);
        }
    }
});
