//! What became of the dead letters of a replay. Pure.

use serde::Serialize;

/// What became of one dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// Published, or with `--to-source` written to its topic: resolved.
    Replayed,
    /// There is nothing to publish, and nothing wrong either: resolved.
    Skipped,
    /// It went back to the dead-letter topic with one replay more.
    FailedAgain,
    /// The filter leaves it out.
    Filtered,
    /// It was replayed `--max-replays` times already.
    Parked,
    /// No route serves its topic.
    NoRoute,
    /// Its value was too large for the dead-letter topic, and its own topic has it no more.
    ValueGone,
    /// It doesn't say where it came from.
    Unreadable,
    /// Its topic doesn't take it.
    NotAccepted,
}

impl Fate {
    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Replayed => "replayed",
            Self::Skipped => "with nothing to publish",
            Self::FailedAgain => "failed again",
            Self::Filtered => "left out by the filter",
            Self::Parked => "parked (--max-replays)",
            Self::NoRoute => "without a route",
            Self::ValueGone => "whose value is gone",
            Self::Unreadable => "unreadable",
            Self::NotAccepted => "not accepted by their topic",
        }
    }
}

/// How many became what. `read` is the sum of all others but `reappended`, always.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Unresolved dead letters that were looked at.
    pub read: u64,
    /// Published, or written to their topic.
    pub replayed: u64,
    /// Nothing to publish.
    pub skipped: u64,
    /// Went back to the dead-letter topic.
    pub failed_again: u64,
    /// Left out by the filter.
    pub filtered: u64,
    /// Replayed too often already.
    pub parked: u64,
    /// Without a route.
    pub no_route: u64,
    /// Without a value, here and in their topic.
    pub value_gone: u64,
    /// Without coordinates.
    pub unreadable: u64,
    /// Not taken by their topic.
    pub not_accepted: u64,
    /// Begun, and without an answer at the end.
    pub unfinished: u64,
    /// Of those that stay unresolved: written unchanged to the topic's end, since the note of the commit was full.
    pub reappended: u64,
}

impl Tally {
    /// A dead letter was looked at; its fate comes later.
    pub fn read(&mut self) {
        self.read += 1;
        self.unfinished += 1;
    }

    /// What became of one that was read.
    pub fn settle(&mut self, fate: Fate) {
        self.unfinished -= 1;
        *match fate {
            Fate::Replayed => &mut self.replayed,
            Fate::Skipped => &mut self.skipped,
            Fate::FailedAgain => &mut self.failed_again,
            Fate::Filtered => &mut self.filtered,
            Fate::Parked => &mut self.parked,
            Fate::NoRoute => &mut self.no_route,
            Fate::ValueGone => &mut self.value_gone,
            Fate::Unreadable => &mut self.unreadable,
            Fate::NotAccepted => &mut self.not_accepted,
        } += 1;
    }

    /// How many dead letters there still are of those that were read.
    pub fn unresolved(&self) -> u64 {
        self.read - self.replayed - self.skipped
    }

    /// Whether something was tried and failed.
    pub fn has_failures(&self) -> bool {
        self.failed_again + self.not_accepted > 0
    }

    /// Each count with its words, those of zero left out.
    pub fn parts(&self) -> Vec<String> {
        [
            (self.replayed, Fate::Replayed.words()),
            (self.skipped, Fate::Skipped.words()),
            (self.failed_again, Fate::FailedAgain.words()),
            (self.filtered, Fate::Filtered.words()),
            (self.parked, Fate::Parked.words()),
            (self.no_route, Fate::NoRoute.words()),
            (self.value_gone, Fate::ValueGone.words()),
            (self.unreadable, Fate::Unreadable.words()),
            (self.not_accepted, Fate::NotAccepted.words()),
            (self.unfinished, "unfinished"),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect()
    }
}
