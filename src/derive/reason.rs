//! What becomes of a record: ready to publish, skipped, or rejected with a reason that names the dead letter.

use std::borrow::Cow;

/// The most that a [`Rejection::detail`] may take: it travels in a record header.
pub const MAX_DETAIL_BYTES: usize = 512;

/// What [`super::Deriver::derive`] made of a record.
#[must_use = "a record that is not ready has to be settled"]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Derivation {
    /// Every command of the record has been handed to the sink.
    Ready {
        /// How many.
        commands: u16,
    },
    /// Nothing to publish, and nothing wrong either.
    Skip(Skip),
    /// The record can't be published as it is.
    Reject(Rejection),
}

/// Why a record has nothing to publish. Age and topics without a route are the caller's to judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Skip {
    /// Its value is null.
    Tombstone,
    /// It isn't one of those that are [`super::Wanted`].
    Filtered,
}

impl Skip {
    /// The name in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tombstone => "tombstone",
            Self::Filtered => "filtered",
        }
    }
}

/// Why a record can't be published as it is. The names are public interface: dead letters and metrics carry them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The value (or a key that is read as JSON) is not one complete JSON text.
    InvalidJson,
    /// It is JSON, but nothing a JSON Pointer of the route could point into.
    NotAnObject,
    /// A needed field is absent, null or empty.
    MissingField,
    /// A needed field is there, but is neither text nor an integer.
    WrongType,
    /// A channel that came out is not one that may be published to.
    InvalidChannel,
    /// Redis refuses the channel.
    ChannelDenied,
    /// The notification is over the cap, extra fields not even counted.
    NotificationTooLarge,
}

impl Reason {
    /// Every reason, in the order of the documentation.
    pub const ALL: [Self; 7] = [
        Self::InvalidJson,
        Self::NotAnObject,
        Self::MissingField,
        Self::WrongType,
        Self::InvalidChannel,
        Self::ChannelDenied,
        Self::NotificationTooLarge,
    ];

    /// The name in dead letters and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidJson => "invalid_json",
            Self::NotAnObject => "not_an_object",
            Self::MissingField => "missing_field",
            Self::WrongType => "wrong_type",
            Self::InvalidChannel => "invalid_channel",
            Self::ChannelDenied => "channel_denied",
            Self::NotificationTooLarge => "notification_too_large",
        }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A record that can't be published, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {detail}")]
pub struct Rejection {
    /// The class of the fault.
    pub reason: Reason,
    /// Which field, pointer, channel template or byte position; at most [`MAX_DETAIL_BYTES`], and never a value
    /// out of the record, since logs and dead letter headers show it.
    pub detail: Cow<'static, str>,
}

impl Rejection {
    /// A rejection; a detail that is too long is cut at a character boundary.
    pub fn new(reason: Reason, detail: impl Into<Cow<'static, str>>) -> Self {
        let mut detail = detail.into();
        if detail.len() > MAX_DETAIL_BYTES {
            let end = (0..=MAX_DETAIL_BYTES)
                .rev()
                .find(|&at| detail.is_char_boundary(at))
                .unwrap_or(0);
            detail.to_mut().truncate(end);
        }
        Self { reason, detail }
    }
}
