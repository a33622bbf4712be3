//! Which dead letters are meant: the same flags for every command that looks at them. Pure.

use std::ops::Range;
use std::str::FromStr;

use clap::Args;
use clap::builder::PossibleValuesParser;
use jiff::{SignedDuration, Timestamp};

use super::stored::StoredLetter;
use crate::derive::Reason;

/// The flags. What is given several times means any of these; different flags all have to fit.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Which dead letters")]
pub struct Filter {
    /// Only with this reason; may be repeated
    #[arg(long = "reason", value_name = "REASON", value_parser = PossibleValuesParser::new(Reason::ALL.map(Reason::as_str)))]
    reasons: Vec<String>,
    /// Only from this source topic; may be repeated
    #[arg(long = "topic", value_name = "TOPIC")]
    topics: Vec<String>,
    /// Only from this partition of the source topic; may be repeated
    #[arg(long = "partition", value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    partitions: Vec<i32>,
    /// Only from these offsets of the source partition: 7, 7..9 (without 9), 7.. or ..9
    #[arg(long = "offset", value_name = "FROM..TO")]
    offsets: Option<Offsets>,
    /// Only with this key; may be repeated
    #[arg(long = "key", value_name = "KEY")]
    keys: Vec<String>,
    /// Only since this time: RFC 3339, or how long ago, such as 2h
    #[arg(long, value_name = "TIME")]
    since: Option<Moment>,
    /// Only before this time: RFC 3339, or how long ago
    #[arg(long, value_name = "TIME")]
    until: Option<Moment>,
    /// Only these on the dead-letter topic: partition, colon, offsets as above; may be repeated
    #[arg(long = "letter", value_name = "PARTITION:FROM..TO")]
    letters: Vec<Letters>,
}

impl Filter {
    /// Whether every dead letter is meant.
    pub fn is_everything(&self) -> bool {
        self.reasons.is_empty()
            && self.topics.is_empty()
            && self.partitions.is_empty()
            && self.offsets.is_none()
            && self.keys.is_empty()
            && self.since.is_none()
            && self.until.is_none()
            && self.letters.is_empty()
    }

    /// Whether this one is meant. A letter that doesn't say what a flag asks for isn't.
    pub fn matches(&self, letter: &StoredLetter) -> bool {
        let origin = letter.origin.as_ref();
        let is_in_time = |time: Timestamp| {
            self.since.as_ref().is_none_or(|since| time >= since.0)
                && self.until.as_ref().is_none_or(|until| time < until.0)
        };
        let timed = self.since.is_some() || self.until.is_some();
        any(&self.reasons, |reason| letter.reason.as_ref() == Some(reason))
            && any(&self.topics, |topic| origin.is_some_and(|o| o.topic == *topic))
            && any(&self.partitions, |number| {
                origin.is_some_and(|o| o.partition == *number)
            })
            && any(self.offsets.as_slice(), |offsets| {
                origin.is_some_and(|o| offsets.0.contains(&o.offset))
            })
            && any(&self.keys, |key| letter.key.as_deref() == Some(key.as_bytes()))
            && (!timed || letter.time().is_some_and(is_in_time))
            && any(&self.letters, |letters| {
                letters.partition == letter.partition && letters.offsets.0.contains(&letter.offset)
            })
    }
}

/// Whether one of them fits, or none is asked for.
fn any<T>(wanted: &[T], fits: impl Fn(&T) -> bool) -> bool {
    wanted.is_empty() || wanted.iter().any(fits)
}

/// A range of offsets.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Offsets(Range<i64>);

impl FromStr for Offsets {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let help = || "write an offset, or a range such as 7..9 (without 9), 7.. or ..9".to_owned();
        let number = |text: &str, default: i64| match text {
            "" => Ok(default),
            text => text.parse().ok().filter(|n| *n >= 0).ok_or_else(help),
        };
        let range = match text.split_once("..") {
            Some((from, to)) => number(from, 0)?..number(to, i64::MAX)?,
            None if text.is_empty() => return Err(help()),
            None => {
                let offset = number(text, 0)?;
                offset..offset.saturating_add(1)
            }
        };
        Ok(Self(range))
    }
}

/// Offsets of one partition of the dead-letter topic.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Letters {
    partition: i32,
    offsets: Offsets,
}

impl FromStr for Letters {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let help = "write PARTITION:OFFSET or PARTITION:FROM..TO, as dlq list shows them";
        let (partition, offsets) = text.split_once(':').ok_or(help)?;
        let partition = partition.parse().ok().filter(|n| *n >= 0).ok_or(help)?;
        Ok(Self {
            partition,
            offsets: offsets.parse()?,
        })
    }
}

/// A time as people write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment(pub Timestamp);

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(time) = text.parse() {
            return Ok(Self(time));
        }
        humantime::parse_duration(text)
            .ok()
            .and_then(|ago| SignedDuration::try_from(ago).ok())
            .and_then(|ago| Timestamp::now().checked_sub(ago).ok())
            .map(Self)
            .ok_or_else(|| {
                "write an RFC 3339 time such as 2026-01-31T12:00:00Z, or how long ago, such as 2h".to_owned()
            })
    }
}

#[cfg(test)]
#[allow(clippy::panic)]
#[allow(clippy::unwrap_used)]
mod tests {
    use clap::Parser;
    use proptest::prelude::*;

    use super::*;
    use crate::dlq::stored::Origin;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        filter: Filter,
    }

    fn filter(flags: &str) -> Filter {
        Line::try_parse_from(std::iter::once("x").chain(flags.split_whitespace()))
            .map(|line| line.filter)
            .unwrap_or_else(|error| panic!("{flags}: {error}"))
    }

    fn letter(reason: &str, topic: &str, offset: i64, key: &str, seconds: i64) -> StoredLetter {
        StoredLetter {
            partition: 1,
            offset: 5,
            reason: Some(reason.to_owned()),
            key: Some(key.as_bytes().to_vec()),
            failed_at: Timestamp::from_second(seconds).ok(),
            origin: Some(Origin {
                topic: topic.to_owned(),
                partition: 2,
                offset,
            }),
            ..StoredLetter::default()
        }
    }

    #[test]
    fn every_flag_has_to_fit_and_of_a_repeated_one_any() {
        let letter = letter("wrong_type", "orders", 7, "k", 0);
        for flags in [
            "",
            "--reason wrong_type --reason invalid_json",
            "--topic orders --partition 2 --offset 7",
            "--offset 7..8 --key k",
            "--offset ..8 --since 1970-01-01T00:00:00Z",
            "--offset 7.. --until 1970-01-01T00:00:01Z",
            "--letter 1:5",
            "--letter 0:0.. --letter 1:..6",
            "--until 2h",
        ] {
            assert!(filter(flags).matches(&letter), "{flags}");
        }
        for flags in [
            "--reason invalid_json",
            "--topic orders --partition 1",
            "--offset ..7",
            "--offset 8..",
            "--key K",
            "--since 1970-01-01T00:00:01Z",
            "--until 1970-01-01T00:00:00Z",
            "--letter 1:6",
            "--letter 2:5",
            "--since 2h",
            "--reason wrong_type --key other",
        ] {
            assert!(!filter(flags).matches(&letter), "{flags}");
        }
    }

    #[test]
    fn what_a_letter_does_not_say_fits_no_flag() {
        let foreign = StoredLetter::default();
        assert!(filter("").is_everything() && filter("").matches(&foreign));
        for flags in [
            "--reason wrong_type",
            "--topic orders",
            "--partition 0",
            "--offset 0..",
            "--key k",
            "--since 1970-01-01T00:00:00Z",
        ] {
            assert!(!filter(flags).is_everything());
            assert!(!filter(flags).matches(&foreign), "{flags}");
        }
    }

    #[test]
    fn what_can_not_be_meant_is_refused() {
        for flags in [
            "--reason wrong",
            "--offset x",
            "--offset -3",
            "--offset 1..x",
            "--letter 5",
            "--letter x:5",
            "--letter 1:",
            "--since yesterday",
            "--partition -1",
        ] {
            assert!(
                Line::try_parse_from(std::iter::once("x").chain(flags.split_whitespace())).is_err(),
                "{flags}"
            );
        }
    }

    proptest! {
        #[test]
        fn ranges_are_half_open(from in 0i64..50, to in 0i64..50, offset in 0i64..50, seconds in 0i64..50) {
            let letter = letter("wrong_type", "t", offset, "k", seconds);
            let time = |seconds: i64| Timestamp::from_second(seconds).unwrap();
            let offsets = filter(&format!("--offset {from}..{to}"));
            prop_assert_eq!(offsets.matches(&letter), (from..to).contains(&offset));
            let times = filter(&format!("--since {} --until {}", time(from), time(to)));
            prop_assert_eq!(times.matches(&letter), (from..to).contains(&seconds));
        }
    }
}
