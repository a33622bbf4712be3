//! Where a partition starts: the rule, without any I/O.
//!
//! A commit decides. Without one, a named topic that the group sees for the first time starts where `start_from`
//! says; partitions and matching topics that appear later start at their beginning, since they were never seen
//! empty. What the group has seen is kept in the metadata of its own commits ([`Note`]): the time of its birth, the
//! time and the partition count at which it first saw the topic, and which topics matched at its birth. So copies
//! that join at once, or years later, decide alike.

use std::fmt;

/// What a commit's metadata keeps. Text, at most [`Note::MAX_BYTES`]; Kafka allows 4096 by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Note {
    /// When the group was born, in milliseconds since the epoch.
    pub born_ms: i64,
    /// When the group first saw this topic.
    pub seen_ms: i64,
    /// How many partitions the topic had then.
    pub partitions: i32,
    /// Which topics matched when the group was born.
    pub topics: TopicSet,
}

/// A set of topic names in 256 bits (a Bloom filter): never misses a member, and rarely takes a stranger for one.
/// A stranger taken for a member starts by time instead of at its beginning, which is the same for all but
/// backdated records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TopicSet([u64; 4]);

impl TopicSet {
    const HASHES: u32 = 4;

    /// Adds a name.
    pub fn insert(&mut self, topic: &str) {
        for (word, bit) in Self::bits(topic) {
            self.0[word] |= bit;
        }
    }

    /// Whether a name may be in it.
    pub fn contains(&self, topic: &str) -> bool {
        Self::bits(topic).all(|(word, bit)| self.0[word] & bit != 0)
    }

    fn bits(topic: &str) -> impl Iterator<Item = (usize, u64)> {
        let hash = fnv1a(topic.as_bytes());
        (0..Self::HASHES).map(move |i| {
            let bits = (hash >> (16 * i)) & 0xff;
            ((bits / 64) as usize, 1 << (bits % 64))
        })
    }
}

/// FNV-1a, 64 bits: must stay the same between versions, since commits keep what it gave.
pub fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

impl Note {
    /// Longest text of a note.
    pub const MAX_BYTES: usize = 128;
    const TAG: &str = "krb1";

    /// Reads a commit's metadata; `None` when it isn't ours.
    pub fn parse(metadata: &str) -> Option<Self> {
        let mut words = metadata.split(' ');
        if words.next() != Some(Self::TAG) {
            return None;
        }
        let born_ms = words.next()?.parse().ok()?;
        let seen_ms = words.next()?.parse().ok()?;
        let partitions = words.next()?.parse().ok()?;
        let mut topics = TopicSet::default();
        let set = words.next()?;
        for (index, word) in topics.0.iter_mut().enumerate() {
            *word = u64::from_str_radix(set.get(index * 16..(index + 1) * 16)?, 16).ok()?;
        }
        Some(Self {
            born_ms,
            seen_ms,
            partitions,
            topics,
        })
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} {} {} ",
            Self::TAG,
            self.born_ms,
            self.seen_ms,
            self.partitions
        )?;
        self.topics.0.iter().try_for_each(|word| write!(f, "{word:016x}"))
    }
}

/// What is known of a topic when one of its partitions has no commit.
#[derive(Debug, Clone, Copy)]
pub struct TopicView {
    /// It is named in `kafka.topics`, not only matched by an expression.
    pub named: bool,
    /// A note on any of its partitions.
    pub note: Option<Note>,
    /// Some partition of it has a commit of the group, with or without a note.
    pub has_commits: bool,
    /// This process has read it before: when its commits are gone, it was deleted and made anew.
    pub known_before: bool,
    /// It wasn't there yet when this process started: nothing in it is history.
    pub appeared: bool,
}

/// Where a partition without a commit starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At its beginning.
    Beginning,
    /// Where `start_from` says, as it would have been decided at `as_of_ms` (`None`: now).
    Configured {
        /// When the decision was due.
        as_of_ms: Option<i64>,
    },
}

/// The rule. `group` is a note on any partition of any topic.
pub fn decide(topic: &str, partition: i32, view: TopicView, group: Option<Note>) -> Start {
    if let Some(note) = view.note {
        return if partition < note.partitions {
            Start::Configured {
                as_of_ms: Some(note.seen_ms),
            }
        } else {
            Start::Beginning
        };
    }
    // Commits without our notes are another consumer's; a partition that it never committed was quiet.
    if view.has_commits || view.known_before || view.appeared {
        return Start::Beginning;
    }
    match group {
        _ if view.named => Start::Configured { as_of_ms: None },
        None => Start::Configured { as_of_ms: None },
        Some(note) if note.topics.contains(topic) => Start::Configured {
            as_of_ms: Some(note.born_ms),
        },
        Some(_) => Start::Beginning,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NEW: TopicView = TopicView {
        named: true,
        note: None,
        has_commits: false,
        known_before: false,
        appeared: false,
    };

    fn note(partitions: i32, topics: &[&str]) -> Note {
        let mut set = TopicSet::default();
        topics.iter().for_each(|topic| set.insert(topic));
        Note {
            born_ms: 1_700_000_000_000,
            seen_ms: 1_700_000_000_500,
            partitions,
            topics: set,
        }
    }

    #[test]
    fn a_topic_seen_for_the_first_time_starts_where_it_is_told() {
        assert_eq!(decide("a", 0, NEW, None), Start::Configured { as_of_ms: None });
        // A topic added to the configuration of a group that exists.
        assert_eq!(
            decide("a", 0, NEW, Some(note(1, &["b"]))),
            Start::Configured { as_of_ms: None }
        );
    }

    #[test]
    fn a_partition_that_appears_later_starts_at_its_beginning() {
        let view = TopicView {
            note: Some(note(12, &[])),
            has_commits: true,
            ..NEW
        };
        assert_eq!(decide("a", 12, view, None), Start::Beginning);
    }

    #[test]
    fn copies_that_join_at_once_decide_as_of_the_first_sight() {
        let view = TopicView {
            note: Some(note(12, &[])),
            has_commits: true,
            ..NEW
        };
        let start = Start::Configured {
            as_of_ms: Some(1_700_000_000_500),
        };
        assert_eq!(decide("a", 11, view, view.note), start);
    }

    #[test]
    fn a_matching_topic_that_appears_later_starts_at_its_beginning() {
        let view = TopicView { named: false, ..NEW };
        assert_eq!(decide("new", 0, view, Some(note(1, &["old"]))), Start::Beginning);
        let at_birth = Start::Configured {
            as_of_ms: Some(1_700_000_000_000),
        };
        assert_eq!(decide("old", 0, view, Some(note(1, &["old"]))), at_birth);
        assert_eq!(decide("old", 0, view, None), Start::Configured { as_of_ms: None });
    }

    #[test]
    fn the_first_topic_of_a_group_that_waited_for_one_starts_at_its_beginning() {
        let view = TopicView {
            named: false,
            appeared: true,
            ..NEW
        };
        assert_eq!(decide("a", 0, view, None), Start::Beginning);
    }

    #[test]
    fn a_topic_deleted_and_made_again_starts_at_its_beginning() {
        let view = TopicView {
            known_before: true,
            ..NEW
        };
        assert_eq!(decide("a", 0, view, None), Start::Beginning);
    }

    #[test]
    fn a_quiet_partition_of_a_group_taken_over_starts_at_its_beginning() {
        let view = TopicView {
            has_commits: true,
            ..NEW
        };
        assert_eq!(decide("a", 3, view, None), Start::Beginning);
    }

    proptest! {
        #[test]
        fn notes_survive_being_written(born in 0i64.., seen in 0i64.., partitions in 0i32.., names in prop::collection::vec("[a-z]{1,20}", 0..20)) {
            let mut topics = TopicSet::default();
            names.iter().for_each(|name| topics.insert(name));
            let note = Note { born_ms: born, seen_ms: seen, partitions, topics };
            let text = note.to_string();
            prop_assert!(text.len() <= Note::MAX_BYTES);
            prop_assert_eq!(Note::parse(&text), Some(note));
            for name in &names { prop_assert!(topics.contains(name)); }
        }

        #[test]
        fn foreign_metadata_is_not_ours(text in ".{0,80}") {
            prop_assume!(!text.starts_with("krb1 "));
            prop_assert_eq!(Note::parse(&text), None);
        }
    }
}
