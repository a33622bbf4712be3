//! What is printed for a notification: a readable line on a terminal, JSON for programs.

use std::io::{self, IsTerminal as _, Write as _};

use console::style;
use jiff::{Timestamp, Zoned};
use redis::Msg;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::commands::text::printable;

/// Prints notifications.
pub struct Show {
    json: bool,
}

/// A notification as programs get it.
#[derive(Serialize)]
struct Shown<'a> {
    channel: &'a str,
    payload: Payload<'a>,
    received_at: Timestamp,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Payload<'a> {
    Object(&'a RawValue),
    Text(&'a str),
}

impl Show {
    /// JSON where it is asked for or where nobody looks on.
    pub fn new(json: bool) -> Self {
        Self {
            json: json || !io::stdout().is_terminal(),
        }
    }

    /// Prints one at once.
    pub fn notification(&mut self, message: &Msg) -> io::Result<()> {
        let channel: String = message.get_channel().unwrap_or_default();
        let payload = String::from_utf8_lossy(message.get_payload_bytes());
        let mut out = io::stdout().lock();
        if self.json {
            writeln!(out, "{}", json(&channel, &payload, Timestamp::now())?)?;
        } else {
            let time = Zoned::now().strftime("%H:%M:%S%.3f").to_string();
            let (channel, payload) = (printable(&channel), printable(&payload));
            writeln!(out, "{}  {}  {payload}", style(time).dim(), style(channel).cyan())?;
        }
        out.flush()
    }
}

fn json(channel: &str, payload: &str, received_at: Timestamp) -> serde_json::Result<String> {
    serde_json::to_string(&Shown {
        channel,
        payload: object(payload).map_or(Payload::Text(payload), Payload::Object),
        received_at,
    })
}

/// The payload if it is a JSON object in one line, as notifications are.
fn object(payload: &str) -> Option<&RawValue> {
    if !payload.starts_with('{') || payload.contains(['\n', '\r']) {
        return None;
    }
    serde_json::from_str(payload).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_notification_stays_json_and_anything_else_is_text() {
        let at = "2026-01-31T12:00:00Z".parse().unwrap();
        let line = |payload: &str| json("c", payload, at).unwrap();
        assert_eq!(
            line(r#"{"id":"1"}"#),
            r#"{"channel":"c","payload":{"id":"1"},"received_at":"2026-01-31T12:00:00Z"}"#
        );
        for text in ["plain", "{", "{\"a\":\n1}", "1"] {
            let value: serde_json::Value = serde_json::from_str(&line(text)).unwrap();
            assert_eq!(value["payload"], text);
            assert!(!line(text).contains('\n'));
        }
    }
}
