//! Spans of time as people write them: `500ms`, `30s`, `30d`.

use std::fmt;
use std::time::Duration;

use serde::de::{self, Deserializer, Visitor};
use serde::ser::Serializer;

/// Long enough for every purpose, and short enough to be added to any clock.
const LONGEST: Duration = Duration::from_secs(36_500 * 86_400);

/// `#[serde(with)]` for a duration that is always there.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    deserializer.deserialize_str(DurationVisitor)
}

/// See [`deserialize`].
pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format(*duration))
}

/// `#[serde(with)]` for a duration that may be left out.
pub(super) mod optional {
    use super::{Deserializer, Duration, Serializer};

    /// See [`super::deserialize`].
    pub(in super::super) fn deserialize<'de, D>(deserializer: D) -> Result<Option<Duration>, D::Error>
    where
        D: Deserializer<'de>,
    {
        super::deserialize(deserializer).map(Some)
    }

    /// See [`super::serialize`].
    pub(in super::super) fn serialize<S: Serializer>(
        duration: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => super::serialize(duration, serializer),
            None => serializer.serialize_str(super::super::UNSET),
        }
    }
}

/// Writes a duration in the largest unit that divides it, so that it reads back the same.
pub fn format(duration: Duration) -> String {
    const UNITS: [(u128, &str); 7] = [
        (86_400_000_000_000, "d"),
        (3_600_000_000_000, "h"),
        (60_000_000_000, "m"),
        (1_000_000_000, "s"),
        (1_000_000, "ms"),
        (1_000, "us"),
        (1, "ns"),
    ];
    let nanos = duration.as_nanos();
    let fits = UNITS
        .iter()
        .find(|(unit, _)| nanos > 0 && nanos.is_multiple_of(*unit));
    fits.map_or_else(
        || "0s".to_owned(),
        |(unit, name)| format!("{}{name}", nanos / unit),
    )
}

struct DurationVisitor;

impl Visitor<'_> for DurationVisitor {
    type Value = Duration;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration with its unit, such as \"500ms\", \"30s\" or \"30d\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Duration, E> {
        match humantime::parse_duration(text) {
            Ok(duration) if duration <= LONGEST => Ok(duration),
            Ok(_) => Err(E::custom(format!("`{text}` is too long; at most \"36500d\""))),
            Err(_) => Err(E::custom(format!(
                "`{text}` is not a duration; write a number and its unit, such as \"500ms\", \"30s\" or \"30d\""
            ))),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_prints_as_it_was_written() {
        for text in ["500ms", "1s", "90s", "5m", "36h", "30d", "7us", "3ns", "0s"] {
            assert_eq!(format(humantime::parse_duration(text).unwrap()), text);
        }
        assert_eq!(format(Duration::from_secs(86_400)), "1d");
    }
}
