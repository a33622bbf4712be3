//! Tells subscribers that they missed something: one message after an outage in which notifications were dropped.

use jiff::Timestamp;

use super::batch::{Batch, Entry, NO_TIMESTAMP};
use crate::derive::CommandSink;

/// Remembers since when notifications were dropped, if anybody wants to know.
#[derive(Debug)]
pub(super) struct Gap {
    channel: Option<String>,
    since: Option<Timestamp>,
    /// What the message under way says, so that it can be said again.
    told: Option<Timestamp>,
}

impl Gap {
    pub(super) fn new(channel: Option<String>) -> Self {
        Self {
            channel,
            since: None,
            told: None,
        }
    }

    /// Notifications were dropped: the gap begins with the oldest record among them.
    pub(super) fn note_drop(&mut self, entries: &[Entry]) {
        if self.channel.is_none() {
            return;
        }
        let oldest = entries
            .iter()
            .map(|entry| entry.timestamp_ms)
            .filter(|&ms| ms != NO_TIMESTAMP)
            .min();
        let oldest = oldest.and_then(|ms| Timestamp::from_millisecond(ms).ok());
        let from = oldest.map_or_else(Timestamp::now, |oldest| oldest.min(Timestamp::now()));
        self.since = Some(self.since.map_or(from, |since| since.min(from)));
    }

    /// The message to send now that Redis answers again, if there is one.
    pub(super) fn take_message(&mut self) -> Option<Batch> {
        let channel = self.channel.as_ref()?;
        let from = self.since.take()?;
        self.told = Some(from);
        let mut batch = Batch::default();
        let message = format!(r#"{{"type":"gap","from":"{from}","to":"{}"}}"#, Timestamp::now());
        batch.publish(channel.as_bytes(), message.as_bytes());
        Some(batch)
    }

    /// The message could not be sent: it is still to be told.
    pub(super) fn not_sent(&mut self) {
        self.since = self.told.take().or(self.since);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn dropped_at(timestamp_ms: i64) -> [Entry; 1] {
        [Entry {
            part: 0,
            channels: 1,
            offset: crate::progress::Offset(0),
            timestamp_ms,
        }]
    }

    #[test]
    fn the_gap_begins_with_the_oldest_record_that_was_dropped() {
        let mut gap = Gap::new(Some("gaps".into()));
        gap.note_drop(&dropped_at(2000));
        gap.note_drop(&dropped_at(1000));
        gap.note_drop(&dropped_at(NO_TIMESTAMP));
        assert_eq!(gap.since, Timestamp::from_millisecond(1000).ok());
    }

    #[test]
    fn one_message_covers_all_drops_of_an_outage() {
        let mut gap = Gap::new(Some("gaps".into()));
        gap.note_drop(&dropped_at(1000));
        gap.note_drop(&dropped_at(1000));
        assert!(gap.take_message().is_some());
        assert!(gap.take_message().is_none());
    }

    #[test]
    fn a_message_that_was_not_sent_is_sent_later_with_the_same_beginning() {
        let mut gap = Gap::new(Some("gaps".into()));
        gap.note_drop(&dropped_at(1000));
        let first = gap.since;
        gap.take_message();
        gap.not_sent();
        assert_eq!(gap.since, first);
        assert!(gap.take_message().is_some());
    }

    #[test]
    fn without_a_channel_nobody_is_told() {
        let mut gap = Gap::new(None);
        gap.note_drop(&dropped_at(1000));
        assert!(gap.take_message().is_none());
    }
}
