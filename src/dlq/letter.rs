//! What a dead letter looks like: the original record, and behind its headers ours.
//!
//! Names after KIP-1191 (share groups' dead-letter queues) where it has one.

use std::borrow::Cow;

use jiff::Timestamp;
use rdkafka::message::{Header, OwnedHeaders};
use sha2::{Digest, Sha256};

use super::headers::{last, without_ours};
use super::stored::StoredLetter;
use crate::derive::Rejection;
use crate::source::message::{Message, MessageHeaders};

/// The topic that the record was read from.
pub const TOPIC: &str = "__dlq.errors.topic";
/// Its partition there.
pub const PARTITION: &str = "__dlq.errors.partition";
/// Its offset there.
pub const OFFSET: &str = "__dlq.errors.offset";
/// The consumer group that gave up on it.
pub const GROUP: &str = "__dlq.errors.group";
/// What was wrong, in words.
pub const MESSAGE: &str = "__dlq.errors.message";
/// What was wrong, as a word: the label `reason`.
pub const REASON: &str = "kafka_redis_bridge.reason";
/// When it became a dead letter (RFC 3339).
pub const FAILED_AT: &str = "kafka_redis_bridge.failed_at";
/// The timestamp of the original record (RFC 3339); left out when it had none.
pub const ORIGINAL_TIMESTAMP: &str = "kafka_redis_bridge.original_timestamp";
/// The version of the bridge.
pub const VERSION: &str = "kafka_redis_bridge.version";
/// How often it was replayed.
pub const REPLAY_COUNT: &str = "kafka_redis_bridge.replay_count";
/// What had to be left out because the dead-letter topic takes no record that large: `value` or `value,headers`.
pub const OMITTED: &str = "kafka_redis_bridge.omitted";
/// SHA-256 of the value that was left out, in hex.
pub const VALUE_SHA256: &str = "kafka_redis_bridge.value_sha256";

/// All of ours: earlier ones are replaced.
pub(super) const OURS: [&str; 12] = [
    TOPIC,
    PARTITION,
    OFFSET,
    GROUP,
    MESSAGE,
    REASON,
    FAILED_AT,
    ORIGINAL_TIMESTAMP,
    VERSION,
    REPLAY_COUNT,
    OMITTED,
    VALUE_SHA256,
];

/// What had to be left out of a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Omitted {
    Nothing,
    Value,
    ValueAndHeaders,
}

/// A dead letter, ready to be written.
#[derive(Debug)]
pub struct Letter {
    /// The original key.
    pub key: Option<Vec<u8>>,
    /// The original value, unless it was too large.
    pub value: Option<Vec<u8>>,
    original_headers: Option<OwnedHeaders>,
    ours: Vec<(&'static str, Cow<'static, str>)>,
    omitted: Omitted,
}

impl Letter {
    /// The dead letter of `message`, which `group` gives up because of `rejection`.
    pub fn new(message: Message<'_>, group: &str, rejection: &Rejection) -> Self {
        // A record that has been a dead letter before keeps the coordinates of its first failure.
        let headers = MessageHeaders::of(message);
        let earlier = |name: &str| last(&headers, name);
        let first = earlier(TOPIC).zip(earlier(PARTITION)).zip(earlier(OFFSET));
        let ((topic, partition), offset) = first.unwrap_or_else(|| {
            let partition = message.partition().to_string();
            (
                (message.topic().to_owned(), partition),
                message.offset().to_string(),
            )
        });
        let own = || {
            message
                .timestamp_ms()
                .and_then(|ms| Timestamp::from_millisecond(ms).ok())
        };
        let history = History {
            coordinates: [topic, partition, offset],
            timestamp: earlier(ORIGINAL_TIMESTAMP).or_else(|| own().map(rfc3339)),
            replay_count: earlier(REPLAY_COUNT).map_or(Cow::Borrowed("0"), Cow::Owned),
        };
        Self {
            key: message.key().map(<[u8]>::to_vec),
            value: message.value().map(<[u8]>::to_vec),
            original_headers: original_headers(message),
            ours: history.headers(group, rejection),
            omitted: Omitted::Nothing,
        }
    }

    /// A dead letter that was replayed and failed again because of `rejection`: one replay more, everything else as
    /// at its first failure. `original_headers` are the record's own.
    pub fn again(
        stored: StoredLetter,
        original_headers: Option<OwnedHeaders>,
        group: &str,
        rejection: &Rejection,
    ) -> Self {
        let replays = stored.replay_count.unwrap_or(0).saturating_add(1);
        let origin = stored.origin.unwrap_or_default();
        let history = History {
            coordinates: [
                origin.topic,
                origin.partition.to_string(),
                origin.offset.to_string(),
            ],
            timestamp: stored.original_timestamp.map(rfc3339),
            replay_count: replays.to_string().into(),
        };
        Self {
            key: stored.key,
            value: stored.value,
            original_headers,
            ours: history.headers(group, rejection),
            omitted: Omitted::Nothing,
        }
    }

    /// How much memory it holds, roughly.
    pub fn bytes(&self) -> usize {
        let length = |part: &Option<Vec<u8>>| part.as_ref().map_or(0, Vec::len);
        length(&self.key) + length(&self.value) + 512
    }

    /// All headers, the original ones first.
    pub fn headers(&self) -> OwnedHeaders {
        let original = self
            .original_headers
            .clone()
            .filter(|_| self.omitted != Omitted::ValueAndHeaders);
        let headers = original.unwrap_or_else(|| OwnedHeaders::new_with_capacity(OURS.len()));
        let insert = |headers: OwnedHeaders, key: &str, value: &str| {
            headers.insert(Header {
                key,
                value: Some(value),
            })
        };
        let headers = self
            .ours
            .iter()
            .fold(headers, |headers, (key, value)| insert(headers, key, value));
        match self.omitted {
            Omitted::Nothing => headers,
            Omitted::Value => insert(headers, OMITTED, "value"),
            Omitted::ValueAndHeaders => insert(headers, OMITTED, "value,headers"),
        }
    }

    /// The dead-letter topic takes no record that large: leaves out the value, then the original headers, then the
    /// key. Returns whether there was anything left to leave out.
    pub fn shrink(&mut self) -> bool {
        match self.omitted {
            Omitted::Nothing => {
                if let Some(value) = self.value.take() {
                    self.ours
                        .push((VALUE_SHA256, hex(&Sha256::digest(&value)).into()));
                }
                self.omitted = Omitted::Value;
                true
            }
            Omitted::Value => {
                self.omitted = Omitted::ValueAndHeaders;
                true
            }
            Omitted::ValueAndHeaders => self.key.take().is_some(),
        }
    }
}

/// What a record brings along from earlier failures.
struct History {
    coordinates: [String; 3],
    timestamp: Option<String>,
    replay_count: Cow<'static, str>,
}

impl History {
    /// Our headers.
    fn headers(self, group: &str, rejection: &Rejection) -> Vec<(&'static str, Cow<'static, str>)> {
        let mut ours = Vec::with_capacity(OURS.len());
        let coordinates = self.coordinates.into_iter().map(Cow::Owned);
        ours.extend([TOPIC, PARTITION, OFFSET].into_iter().zip(coordinates));
        ours.push((GROUP, Cow::Owned(group.to_owned())));
        ours.push((MESSAGE, rejection.detail.clone()));
        ours.push((REASON, Cow::Borrowed(rejection.reason.as_str())));
        ours.push((FAILED_AT, rfc3339(Timestamp::now()).into()));
        ours.extend(self.timestamp.map(|time| (ORIGINAL_TIMESTAMP, time.into())));
        ours.push((VERSION, Cow::Borrowed(env!("CARGO_PKG_VERSION"))));
        ours.push((REPLAY_COUNT, self.replay_count));
        ours
    }
}

/// A copy of the headers that the record had before it became a dead letter.
pub fn original_headers<'a>(message: impl Into<Message<'a>>) -> Option<OwnedHeaders> {
    message.into().header_list().map(without_ours)
}

fn rfc3339(time: Timestamp) -> String {
    format!("{time:.3}")
}

/// Bytes as text, as hashes are written.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}
