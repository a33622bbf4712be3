//! One sentence about the health of this copy, for somebody who has three seconds. Pure.

use jiff::Timestamp;
use serde::Serialize;

use super::history::Trend;

/// Lag up to here is the ordinary delay of batches, commits and what is told only now and then.
pub const BEHIND_AFTER_SECONDS: f64 = 5.0;
/// Lag beyond this has to be looked at.
const FAR_BEHIND_AFTER_SECONDS: f64 = 60.0;

/// How urgent it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Nothing to do.
    Ok,
    /// It may pass by itself.
    Warning,
    /// Somebody has to do something.
    Critical,
}

/// What the sentence is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Every record is published soon after it was written.
    KeepingUp,
    /// Records wait for longer than they should.
    Behind,
    /// Partitions are paused.
    Waiting,
    /// No partition is assigned to this copy.
    StandingBy,
    /// Not yet a member of the group, or Redis has not answered yet.
    Starting,
    /// Told to end.
    Stopping,
    /// Redis can't be reached, or doesn't work.
    RedisDown,
    /// No broker can be reached.
    KafkaDown,
    /// Kafka or Redis refuses the configuration.
    Refused,
    /// The poll loop doesn't turn.
    Stuck,
}

/// The sentence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// What it is about.
    pub state: State,
    /// How urgent it is.
    pub level: Level,
    /// The sentence itself.
    pub summary: String,
    /// What it means or what to do; empty when there is nothing to add.
    pub detail: String,
}

/// What is known; the first thing in it that is wrong makes the sentence.
#[derive(Debug, Clone, Default)]
pub struct Facts<'a> {
    /// Why the process should be restarted.
    pub not_alive: Option<&'a str>,
    /// It was told to end.
    pub draining: bool,
    /// It is a member of the group.
    pub joined: bool,
    /// What Kafka or Redis refuses.
    pub refusal: Option<&'a str>,
    /// Redis has answered at least once.
    pub redis_answered: bool,
    /// What is wrong with Redis, and since when.
    pub redis_fault: Option<(&'a str, Option<Timestamp>)>,
    /// Brokers that the consumer is connected to, once that is known.
    pub brokers_up: Option<i64>,
    /// What is not published is dropped (`best_effort`).
    pub drops: bool,
    /// Partitions that this copy has.
    pub assigned: usize,
    /// How many of them are paused, and why: the metric's names.
    pub paused: (usize, &'a [&'static str]),
    /// The largest lag of a partition.
    pub lag_seconds: Option<f64>,
    /// Where lag is going.
    pub trend: Option<Trend>,
}

impl Verdict {
    fn new(state: State, level: Level, summary: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            state,
            level,
            summary: summary.into(),
            detail: detail.into(),
        }
    }

    /// The first thing that is wrong; that it is keeping up, if nothing is.
    pub fn of(facts: &Facts<'_>) -> Self {
        process(facts)
            .or_else(|| servers(facts))
            .or_else(|| partitions(facts))
            .unwrap_or_else(|| {
                let detail = "Every record is published soon after it was written.";
                Self::new(State::KeepingUp, Level::Ok, "Keeping up", detail)
            })
    }
}

fn process(facts: &Facts<'_>) -> Option<Verdict> {
    if let Some(why) = facts.not_alive {
        let detail = format!("{}. Restart this process.", capitalised(why));
        return Some(Verdict::new(State::Stuck, Level::Critical, "Not working", detail));
    }
    if facts.draining {
        let detail = "What is in flight is settled and committed before it ends.";
        return Some(Verdict::new(State::Stopping, Level::Warning, "Stopping", detail));
    }
    let why = facts.refusal?;
    Some(Verdict::new(
        State::Refused,
        Level::Critical,
        "The configuration is refused",
        capitalised(why),
    ))
}

fn servers(facts: &Facts<'_>) -> Option<Verdict> {
    if let Some((fault, since)) = facts.redis_fault {
        let since = since.map_or_else(String::new, |at| {
            format!(" since {}", at.strftime("%H:%M:%S UTC"))
        });
        let effect = match facts.drops {
            true => "Notifications are dropped meanwhile, as best_effort promises.",
            false => "Nothing is lost: records wait in Kafka.",
        };
        let detail = format!("{effect} What happened: {fault}.");
        let summary = format!("Redis is down{since}");
        return Some(Verdict::new(State::RedisDown, Level::Critical, summary, detail));
    }
    let starting = |detail: &str| Some(Verdict::new(State::Starting, Level::Warning, "Starting", detail));
    if !facts.joined {
        return starting("Not yet a member of the consumer group.");
    }
    if facts.brokers_up == Some(0) {
        let detail = "Nothing is lost: records wait, and reading goes on by itself.";
        let summary = "Kafka can't be reached";
        return Some(Verdict::new(State::KafkaDown, Level::Critical, summary, detail));
    }
    match facts.redis_answered {
        true => None,
        false => starting("Redis has not answered yet."),
    }
}

fn partitions(facts: &Facts<'_>) -> Option<Verdict> {
    if facts.assigned == 0 {
        let detail = "No partition is assigned to this copy; it takes over when another one ends.";
        return Some(Verdict::new(State::StandingBy, Level::Ok, "Standing by", detail));
    }
    let (paused, reasons) = facts.paused;
    if paused > 0 {
        let reasons: Vec<&str> = reasons.iter().map(|reason| pause_in_words(reason)).collect();
        let summary = format!("{paused} of {} partitions wait", facts.assigned);
        let detail = format!("{}.", capitalised(&reasons.join("; ")));
        return Some(Verdict::new(State::Waiting, Level::Warning, summary, detail));
    }
    let lag = facts.lag_seconds.filter(|lag| *lag >= BEHIND_AFTER_SECONDS)?;
    let level = match lag >= FAR_BEHIND_AFTER_SECONDS {
        true => Level::Critical,
        false => Level::Warning,
    };
    let detail = match facts.trend {
        Some(Trend::CatchingUp) => "Catching up.",
        Some(Trend::FallingBehind) => "Falling further behind: add copies, or look at Redis.",
        Some(Trend::Steady) | None => "",
    };
    let summary = format!("Behind by {}", super::words::span(lag));
    Some(Verdict::new(State::Behind, level, summary, detail))
}

/// A reason for a pause, for people.
pub fn pause_in_words(reason: &str) -> &str {
    match reason {
        "backpressure" => "Redis takes no more",
        "dlq" => "its dead letters can't be written",
        "guard" => "too many dead letters: the guard slows it down",
        "channel_denied" => "Redis refuses a channel of one of its records",
        "revoking" => "it moves to another copy",
        "fenced" => "its start could not be committed; another assignment follows",
        other => other,
    }
}

fn capitalised(text: &str) -> String {
    let mut rest = text.chars();
    rest.next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(rest).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn well() -> Facts<'static> {
        Facts {
            joined: true,
            redis_answered: true,
            brokers_up: Some(1),
            assigned: 4,
            lag_seconds: Some(0.2),
            trend: Some(Trend::Steady),
            ..Facts::default()
        }
    }

    fn said(facts: &Facts<'_>) -> (State, String) {
        let verdict = Verdict::of(facts);
        (verdict.state, format!("{} | {}", verdict.summary, verdict.detail))
    }

    #[test]
    fn each_state_has_its_sentence() {
        let since = "2026-07-03T12:03:04Z".parse().ok();
        let cases: [(Facts<'_>, State, &str); 11] = [
            (well(), State::KeepingUp, "Keeping up | Every record"),
            (
                Facts {
                    brokers_up: None,
                    ..well()
                },
                State::KeepingUp,
                "Keeping up | ",
            ),
            (
                Facts {
                    lag_seconds: Some(12.3),
                    ..well()
                },
                State::Behind,
                "Behind by 12 s | ",
            ),
            (
                Facts {
                    lag_seconds: Some(200.0),
                    trend: Some(Trend::CatchingUp),
                    ..well()
                },
                State::Behind,
                "Behind by 3 min 20 s | Catching up.",
            ),
            (
                Facts {
                    paused: (1, &["dlq"]),
                    ..well()
                },
                State::Waiting,
                "1 of 4 partitions wait | Its dead letters can't be written.",
            ),
            (
                Facts {
                    assigned: 0,
                    ..well()
                },
                State::StandingBy,
                "Standing by | No partition",
            ),
            (
                Facts {
                    joined: false,
                    ..well()
                },
                State::Starting,
                "Starting | Not yet a member",
            ),
            (
                Facts {
                    brokers_up: Some(0),
                    ..well()
                },
                State::KafkaDown,
                "Kafka can't be reached | Nothing is lost",
            ),
            (
                Facts {
                    redis_fault: Some(("refused", since)),
                    ..well()
                },
                State::RedisDown,
                "Redis is down since 12:03:04 UTC | Nothing is lost: records wait in Kafka. What happened: refused.",
            ),
            (
                Facts {
                    draining: true,
                    ..well()
                },
                State::Stopping,
                "Stopping | What is in flight",
            ),
            (
                Facts {
                    refusal: Some("no"),
                    ..well()
                },
                State::Refused,
                "The configuration is refused | No",
            ),
        ];
        for (facts, state, beginning) in cases {
            let (said_state, text) = said(&facts);
            assert_eq!(said_state, state, "{text}");
            assert!(text.starts_with(beginning), "{text}");
        }
    }

    #[test]
    fn the_cause_is_named_before_what_follows_from_it() {
        let facts = Facts {
            redis_fault: Some(("connection refused", None)),
            paused: (4, &["backpressure"]),
            lag_seconds: Some(300.0),
            drops: true,
            ..well()
        };
        let verdict = Verdict::of(&facts);
        assert_eq!(
            (verdict.state, verdict.level),
            (State::RedisDown, Level::Critical)
        );
        assert!(verdict.detail.contains("dropped meanwhile"), "{}", verdict.detail);
    }
}
