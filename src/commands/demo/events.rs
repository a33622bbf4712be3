//! Sample events as GitHub would tell them, with a few that can't become notifications.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::derive::Reason;

/// Topics and their partition counts.
pub const TOPICS: [(&str, i32); 3] = [
    ("github.users", 2),
    ("github.repositories", 2),
    ("github.organizations", 2),
];

/// Every record of this number is poison: 1 %.
const POISON_EVERY: u64 = 100;
/// Which of a hundred it is: never one that has no value.
const FIRST_POISON: u64 = 20;
/// Every record of this number has no value.
const TOMBSTONE_EVERY: u64 = 250;
/// Ids of events go up from here.
const FIRST_ID: u64 = 41_000_000_000;

/// The kinds of poison, one after another.
const POISON: [Reason; 6] = [
    Reason::InvalidJson,
    Reason::MissingField,
    Reason::InvalidChannel,
    Reason::NotAnObject,
    Reason::WrongType,
    Reason::NotificationTooLarge,
];

const USERS: [&str; 8] = [
    "octocat",
    "torvalds",
    "gaearon",
    "antirez",
    "dtolnay",
    "mitchellh",
    "jessfraz",
    "yyx990803",
];
const REPOSITORIES: [&str; 8] = [
    "rust-lang/rust",
    "apache/kafka",
    "redis/redis",
    "torvalds/linux",
    "tokio-rs/tokio",
    "facebook/react",
    "kubernetes/kubernetes",
    "grafana/grafana",
];
const ORGANIZATIONS: [&str; 6] = ["microsoft", "github", "apache", "rust-lang", "mozilla", "cncf"];

/// What has to become of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The subscriber hears of the event with this id.
    Heard(u64),
    /// A dead letter.
    DeadLetter(Reason),
    /// A tombstone, which is nobody's business.
    Skipped,
}

/// A record to be produced.
#[derive(Debug)]
pub struct Sample {
    pub topic: &'static str,
    pub key: &'static str,
    pub value: Option<Vec<u8>>,
    pub fate: Fate,
}

/// One event after another.
#[derive(Debug, Default)]
pub struct Events {
    made: u64,
}

impl Events {
    /// The next one; it happens at `now`.
    pub fn next(&mut self, now: Timestamp) -> Sample {
        self.made += 1;
        let id = FIRST_ID + self.made;
        let (topic, source_type, source_id, kind) = pick();
        let event = json!({
            "id": id.to_string(),
            "type": kind,
            "source_type": source_type,
            "source_id": source_id,
            "occurred_at": now.to_string(),
            "data": details(source_type, kind),
        });
        let (value, fate) = if self.made.is_multiple_of(TOMBSTONE_EVERY) {
            (None, Fate::Skipped)
        } else if self.made % POISON_EVERY == FIRST_POISON {
            let turn = usize::try_from(self.made / POISON_EVERY).unwrap_or_default();
            let reason = POISON[turn % POISON.len()];
            (Some(spoil(event, reason)), Fate::DeadLetter(reason))
        } else {
            (Some(event.to_string().into_bytes()), Fate::Heard(id))
        };
        Sample {
            topic,
            key: source_id,
            value,
            fate,
        }
    }
}

/// Topic, source type, source id and type of an event; most concern repositories.
fn pick() -> (&'static str, &'static str, &'static str, &'static str) {
    fn one(of: &[&'static str]) -> &'static str {
        fastrand::choice(of).copied().unwrap_or_default()
    }
    match fastrand::u8(..10) {
        0..3 => (TOPICS[0].0, "user", one(&USERS), one(&["star", "follow", "gist"])),
        3..9 => {
            let kinds = [
                "push",
                "push",
                "pull_request",
                "issues",
                "issue_comment",
                "release",
                "fork",
            ];
            (TOPICS[1].0, "repo", one(&REPOSITORIES), one(&kinds))
        }
        _ => {
            let kinds = ["member_added", "team_created", "repository_created"];
            (TOPICS[2].0, "org", one(&ORGANIZATIONS), one(&kinds))
        }
    }
}

/// The body of an event: it stays in Kafka.
fn details(source_type: &str, kind: &str) -> Value {
    let actor = fastrand::choice(USERS).unwrap_or_default();
    match (source_type, kind) {
        ("repo", "push") => json!({
            "actor": actor,
            "ref": "refs/heads/main",
            "commits": [{ "sha": format!("{:040x}", fastrand::u128(..)), "message": "Fix \"the\" flaky test" }],
        }),
        ("repo", _) => {
            json!({ "actor": actor, "number": fastrand::u32(1..9999), "title": "It works on my machine ☕" })
        }
        ("user", _) => json!({ "actor": actor, "target": fastrand::choice(REPOSITORIES) }),
        _ => json!({ "actor": actor, "team": { "name": "maintainers", "members": fastrand::u8(1..40) } }),
    }
}

/// Makes an event unfit, in such a way that the bridge must give this reason.
fn spoil(mut event: Value, reason: Reason) -> Vec<u8> {
    match reason {
        Reason::InvalidJson => {
            let mut cut = event.to_string().into_bytes();
            cut.truncate(cut.len() / 2);
            return cut;
        }
        Reason::NotAnObject => event = json!([event]),
        Reason::MissingField => {
            event["source_id"].take();
        }
        Reason::WrongType => event["source_id"] = json!({ "login": "octocat" }),
        Reason::InvalidChannel | Reason::ChannelDenied => event["source_id"] = json!("line\nbreak"),
        Reason::NotificationTooLarge => event["id"] = json!("7".repeat(2000)),
    }
    event.to_string().into_bytes()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn thousand() -> Vec<Sample> {
        let mut events = Events::default();
        let now = "2026-01-02T03:04:05.678901Z".parse().unwrap();
        (0..1000).map(|_| events.next(now)).collect()
    }

    #[test]
    fn one_in_a_hundred_is_poison_and_every_kind_has_its_turn() {
        let samples = thousand();
        let reasons: Vec<_> = samples
            .iter()
            .filter_map(|sample| match sample.fate {
                Fate::DeadLetter(reason) => Some(reason),
                _ => None,
            })
            .collect();
        assert_eq!(reasons.len(), 10);
        assert!(POISON.iter().all(|reason| reasons.contains(reason)));
    }

    #[test]
    fn a_record_without_a_value_is_a_tombstone() {
        for sample in thousand() {
            assert_eq!(sample.value.is_none(), sample.fate == Fate::Skipped);
        }
    }
}
