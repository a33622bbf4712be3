//! A record that a replay writes to Kafka, and which dead letter it stands for.

use rdkafka::message::{BorrowedMessage, Header, Message as _, OwnedHeaders};

use super::tally::Fate;
use crate::dlq::letter::{Letter, REPLAY_COUNT};
use crate::dlq::stored::StoredLetter;

/// Which dead letter a record stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place {
    /// Its partition of the dead-letter topic.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
}

/// A record to write.
#[derive(Debug)]
pub struct Outgoing {
    pub(super) place: Place,
    pub(super) fate: Fate,
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) timestamp: Option<i64>,
    pub(super) content: Content,
    pub(super) attempts: u32,
}

#[derive(Debug)]
pub(super) enum Content {
    /// A new dead letter, which can be made smaller.
    Letter(Box<Letter>),
    /// A record as it is.
    Record {
        key: Option<Vec<u8>>,
        value: Option<Vec<u8>>,
        headers: Option<OwnedHeaders>,
    },
}

impl Outgoing {
    /// The dead letter of one that failed again. It stays in its partition.
    pub fn again(place: Place, dlq: &str, letter: Letter) -> Self {
        Self {
            place,
            fate: Fate::FailedAgain,
            topic: dlq.to_owned(),
            partition: place.partition,
            timestamp: None,
            content: Content::Letter(Box::new(letter)),
            attempts: 0,
        }
    }

    /// A dead letter as it is, which has become `fate`.
    pub fn unchanged(message: &BorrowedMessage<'_>, fate: Fate) -> Self {
        Self {
            place: Place {
                partition: message.partition(),
                offset: message.offset(),
            },
            fate,
            topic: message.topic().to_owned(),
            partition: message.partition(),
            timestamp: message.timestamp().to_millis(),
            content: Content::Record {
                key: message.key().map(<[u8]>::to_vec),
                value: message.payload().map(<[u8]>::to_vec),
                headers: message.headers().map(|headers| headers.detach()),
            },
            attempts: 0,
        }
    }

    /// The original record, for its own topic and partition. One header of ours says that it was replayed, and how
    /// often: should it fail once more, the dead letter goes on counting.
    pub fn to_source(place: Place, letter: StoredLetter, original_headers: Option<OwnedHeaders>) -> Self {
        let replays = letter.replay_count.unwrap_or(0).saturating_add(1).to_string();
        let origin = letter.origin.unwrap_or_default();
        let headers = original_headers.unwrap_or_default().insert(Header {
            key: REPLAY_COUNT,
            value: Some(&replays),
        });
        Self {
            place,
            fate: Fate::Replayed,
            topic: origin.topic,
            partition: origin.partition,
            timestamp: letter.original_timestamp.map(jiff::Timestamp::as_millisecond),
            content: Content::Record {
                key: letter.key,
                value: letter.value,
                headers: Some(headers),
            },
            attempts: 0,
        }
    }

    /// How much memory it holds, roughly.
    pub(super) fn bytes(&self) -> usize {
        match &self.content {
            Content::Letter(letter) => letter.bytes(),
            Content::Record { key, value, .. } => {
                let length = |part: &Option<Vec<u8>>| part.as_ref().map_or(0, Vec::len);
                length(key) + length(value) + 512
            }
        }
    }

    /// Leaves something out of a letter that is too large.
    pub(super) fn shrink(&mut self) -> bool {
        match &mut self.content {
            Content::Letter(letter) => letter.shrink(),
            Content::Record { .. } => false,
        }
    }
}
