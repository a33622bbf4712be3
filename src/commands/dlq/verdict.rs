//! What the present configuration would make of a dead letter.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::config;
use crate::derive::{CommandSink, Derivation, Deriver, Limits, Options, Router};
use crate::dlq::stored::StoredLetter;
use crate::exit::Failure;

/// What would become of it.
#[derive(Debug, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Verdict {
    /// It would be published.
    Ready {
        /// Where.
        channels: Vec<String>,
        /// What.
        notification: Box<RawValue>,
    },
    /// It would be skipped.
    Skip {
        /// Why.
        reason: &'static str,
    },
    /// It would be a dead letter again.
    DeadLetter {
        /// Why, as a word.
        reason: &'static str,
        /// Why, in words.
        detail: String,
    },
    /// The letter doesn't say enough.
    Unknown {
        /// What is missing.
        detail: String,
    },
}

#[derive(Default)]
struct Commands {
    channels: Vec<String>,
    notification: String,
}

impl CommandSink for Commands {
    fn publish(&mut self, channel: &[u8], payload: &[u8]) {
        self.channels.push(String::from_utf8_lossy(channel).into_owned());
        self.notification = String::from_utf8_lossy(payload).into_owned();
    }
}

/// Derives the letter as `dlq replay` would.
pub fn verdict(config: &config::Derivation, letter: &StoredLetter) -> Result<Verdict, Failure> {
    let unknown = |detail: &str| {
        Ok(Verdict::Unknown {
            detail: detail.to_owned(),
        })
    };
    let Some(record) = letter.record() else {
        return unknown("its headers don't say which topic it came from");
    };
    if letter.is_without_value() {
        return unknown(
            "its value was too large for the dead-letter topic; the source topic may still have it",
        );
    }
    let router = Router::compile(&config.kafka.topics, &config.routes).map_err(|problems| {
        let messages: Vec<_> = problems.into_iter().map(|problem| problem.message).collect();
        Failure::config(messages.join("\n"))
    })?;
    let Some(route) = router.route_for(record.topic) else {
        return Ok(Verdict::Skip { reason: "no_route" });
    };
    let mut commands = Commands::default();
    let options = Options {
        replayed: true,
        ..Options::default()
    };
    let limits = Limits {
        max_notification_bytes: config.delivery.max_notification_bytes,
    };
    let mut deriver = Deriver::new(limits).passing_on(config.trace.pass_on());
    Ok(match deriver.derive(&route, &record, options, &mut commands) {
        Derivation::Ready { .. } => Verdict::Ready {
            channels: commands.channels,
            notification: RawValue::from_string(commands.notification)
                .map_err(|error| Failure::software(format!("a notification is no JSON: {error}")))?,
        },
        Derivation::Skip(skip) => Verdict::Skip {
            reason: skip.as_str(),
        },
        Derivation::Reject(rejection) => Verdict::DeadLetter {
            reason: rejection.reason.as_str(),
            detail: rejection.detail.into_owned(),
        },
    })
}
