//! Where the group will start a partition that it has no commit for.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::survey::Commits;
use crate::config::StartFrom;
use crate::source::offsets::TopicPartition;
use crate::source::start::{Note, Start, TopicView, decide};
use crate::source::topics::Topics;

/// What the group's commits say about topics.
pub struct Starts<'a> {
    topics: &'a Topics,
    start_from: StartFrom,
    /// A note on any partition of the topic.
    notes: HashMap<&'a str, Note>,
    committed: HashSet<&'a str>,
    /// A note on any partition of any topic.
    group: Option<Note>,
}

impl<'a> Starts<'a> {
    /// Reads the notes in the commits.
    pub fn new(topics: &'a Topics, start_from: StartFrom, commits: &'a Commits) -> Self {
        let notes: HashMap<&str, Note> = commits
            .iter()
            .filter_map(|((topic, _), (_, note))| Some((&**topic, Note::parse(note)?)))
            .collect();
        Self {
            topics,
            start_from,
            group: notes.values().min_by_key(|note| note.born_ms).copied(),
            notes,
            committed: commits
                .keys()
                .map(|(topic, _): &(Arc<str>, i32)| &**topic)
                .collect(),
        }
    }

    /// Whether it is the beginning. Other starts are decided when a copy runs, and nobody can say before.
    pub fn is_at_beginning(&self, (topic, number): &TopicPartition) -> bool {
        if !self.topics.matches(topic) {
            return false;
        }
        let view = TopicView {
            named: self.topics.named().iter().any(|name| **name == **topic),
            note: self.notes.get(&**topic).copied(),
            has_commits: self.committed.contains(&**topic),
            known_before: false,
            appeared: false,
        };
        match decide(topic, *number, view, self.group) {
            Start::Beginning => true,
            Start::Configured { .. } => self.start_from == StartFrom::Earliest,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::progress::Position;

    #[test]
    fn a_partition_that_came_later_starts_at_its_beginning_and_one_that_nobody_decided_is_open() {
        let topics = Topics::new(&["a".to_owned()], "dlq").unwrap();
        let set = "0".repeat(64);
        let note = format!("krb1 1 1 2 {set}");
        let commits = Commits::from([((Arc::from("a"), 0), (Position(5), note))]);
        let starts = Starts::new(&topics, StartFrom::Latest, &commits);
        let is_at_beginning = |topic: &str, number| starts.is_at_beginning(&(Arc::from(topic), number));
        assert!(
            is_at_beginning("a", 2),
            "the topic had two partitions at first sight"
        );
        assert!(!is_at_beginning("a", 1));
        assert!(!is_at_beginning("b", 0), "not subscribed");
        let none = Commits::new();
        for (start_from, expected) in [(StartFrom::Latest, false), (StartFrom::Earliest, true)] {
            let starts = Starts::new(&topics, start_from, &none);
            assert_eq!(starts.is_at_beginning(&(Arc::from("a"), 0)), expected);
        }
    }
}
