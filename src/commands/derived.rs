//! What a dry run derives from a record, and how programs get to read it.

use std::io;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::derive::{CommandSink, Rejection};

/// What would go to Redis for one record.
#[derive(Debug, Default)]
pub struct Commands {
    /// Channel by channel.
    pub channels: Vec<String>,
    /// The same for all of them.
    pub notification: Vec<u8>,
}

impl CommandSink for Commands {
    fn publish(&mut self, channel: &[u8], payload: &[u8]) {
        self.channels.push(String::from_utf8_lossy(channel).into_owned());
        self.notification.clear();
        self.notification.extend_from_slice(payload);
    }
}

/// The end of a line of JSON: what would be published, or why nothing would be.
#[derive(Serialize)]
pub struct Derived<'a> {
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    channels: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    notification: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
}

impl<'a> Derived<'a> {
    /// The notification is left out where there is none.
    pub fn new(commands: &'a Commands, rejection: Option<&'a Rejection>) -> io::Result<Self> {
        Ok(Self {
            channels: &commands.channels,
            notification: match commands.notification.as_slice() {
                [] => None,
                bytes => Some(serde_json::from_slice(bytes)?),
            },
            reason: rejection.map(|rejection| rejection.reason.as_str()),
            detail: rejection.map(|rejection| &*rejection.detail),
        })
    }

    /// Why nothing would be published, where that is no failure.
    pub fn because(self, reason: &'a str) -> Self {
        Self {
            reason: Some(reason),
            ..self
        }
    }
}
