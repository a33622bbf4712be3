//! What commits keep in their metadata: read, written, and compared with sets.

use std::collections::BTreeSet;

use kafka_redis_bridge::dlq::resolved::{MAX_METADATA_BYTES, Resolved};
use kafka_redis_bridge::source::start::{Note, TopicSet};

/// Metadata that anybody may have written is ours and reads back the same, or it is left alone.
pub fn any_metadata_is_survived(metadata: &str, committed: i64) {
    if let Some(note) = Note::parse(metadata) {
        assert!(metadata.starts_with("krb1 "));
        reads_back(note);
    }
    let resolved = Resolved::parse(metadata, committed);
    assert!(
        resolved.frontier() >= committed.max(0),
        "nothing that was committed is lost"
    );
    if !metadata.trim_start().starts_with("krd1") {
        assert_eq!(resolved, Resolved::new(committed));
    }
    resolved_reads_back(&resolved);
}

/// A start note that this program writes.
pub fn a_note_reads_back(born_ms: i64, seen_ms: i64, partitions: i32, names: &[&str]) {
    let mut topics = TopicSet::default();
    names.iter().for_each(|name| topics.insert(name));
    reads_back(Note {
        born_ms,
        seen_ms,
        partitions,
        topics,
    });
    assert!(names.iter().all(|name| topics.contains(name)));
}

fn reads_back(note: Note) {
    let text = note.to_string();
    assert!(text.len() <= Note::MAX_BYTES, "{text}");
    assert_eq!(Note::parse(&text), Some(note));
}

fn resolved_reads_back(resolved: &Resolved) {
    let note = resolved.to_metadata();
    assert!(note.len() <= MAX_METADATA_BYTES);
    let again = Resolved::parse(&note, resolved.frontier());
    if resolved.has_room() {
        assert_eq!(again, *resolved);
    }
    // What did not fit is open again; nothing else is resolved.
    assert_eq!(again.frontier(), resolved.frontier());
    let (all, kept) = (
        resolved.count_within(0, i64::MAX),
        again.count_within(0, i64::MAX),
    );
    assert!(kept <= all, "{kept} of {all}");
}

/// Resolves ranges (first offset and length) and compares with a set of offsets.
pub fn resolved_agrees_with_a_set(committed: u8, ranges: &[(u8, u8)], window: (u8, u8)) {
    let mut resolved = Resolved::new(i64::from(committed));
    let mut model: BTreeSet<i64> = (0..i64::from(committed)).collect();
    for &(from, length) in ranges {
        let (from, to) = (i64::from(from), i64::from(from) + i64::from(length));
        resolved.insert_range(from, to);
        model.extend(from..to);
        let frontier = (0..).find(|offset| !model.contains(offset));
        assert_eq!(Some(resolved.frontier()), frontier);
    }
    for offset in 0..512 {
        assert_eq!(resolved.contains(offset), model.contains(&offset), "{offset}");
    }
    let (from, to) = (i64::from(window.0), i64::from(window.1));
    let within = model
        .iter()
        .filter(|&&offset| from <= offset && offset < to)
        .count();
    assert_eq!(resolved.count_within(from, to), within as u64);
    assert_eq!(
        Resolved::parse(&resolved.to_metadata(), resolved.frontier()),
        resolved
    );
}
