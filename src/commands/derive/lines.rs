//! Records from a file or stdin, one a line.

use std::collections::BTreeMap;
use std::io::BufRead;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Format;
use super::dry_run::DryRun;
use crate::exit::{Exit, Failure};
use crate::record::{Headers, Record};

/// What a line doesn't say itself.
pub struct Defaults {
    /// How lines are to be read.
    pub format: Format,
    /// The topic of records that name none.
    pub topic: Option<String>,
}

/// A record as it was read.
struct Line {
    topic: String,
    partition: i32,
    offset: i64,
    timestamp_ms: Option<i64>,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Pairs,
}

/// Names and values.
struct Pairs(Vec<(String, Option<Vec<u8>>)>);

impl Headers for Pairs {
    fn last(&self, name: &str) -> Option<Option<&[u8]>> {
        Headers::last(&self.0, name)
    }
}

/// A line of `--format json`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written<'a> {
    topic: Option<String>,
    #[serde(default)]
    partition: i32,
    offset: Option<i64>,
    timestamp: Option<Time>,
    #[serde(borrow)]
    key: Option<&'a RawValue>,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
    #[serde(default)]
    headers: BTreeMap<String, Option<String>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Time {
    Milliseconds(i64),
    Text(Timestamp),
}

/// Derives every line that isn't empty. Offsets count lines from 0 where the lines don't say.
pub fn read(
    name: &str,
    mut input: impl BufRead,
    defaults: &Defaults,
    dry_run: &mut DryRun,
) -> Result<(), Failure> {
    let mut line = Vec::new();
    let mut number = 0;
    while !dry_run.is_done() {
        line.clear();
        let length = input
            .read_until(b'\n', &mut line)
            .map_err(|error| Failure::software(format!("{name}: {error}")))?;
        if length == 0 {
            break;
        }
        number += 1;
        let text = line.trim_ascii();
        if text.is_empty() {
            continue;
        }
        let record = parse(text, number - 1, defaults).map_err(|error| {
            Failure::new(
                Exit::Data,
                format!("{name}:{number}: is no record for --format json: {error}"),
            )
        })?;
        dry_run.take(&record.as_record())?;
    }
    Ok(())
}

fn parse(text: &[u8], offset: i64, defaults: &Defaults) -> Result<Line, String> {
    let topic = defaults.topic.clone();
    if defaults.format == Format::Value {
        return Ok(Line {
            topic: topic.unwrap_or_default(),
            partition: 0,
            offset,
            timestamp_ms: None,
            key: None,
            value: Some(text.to_vec()),
            headers: Pairs(Vec::new()),
        });
    }
    let written: Written<'_> = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let headers = written.headers.into_iter();
    Ok(Line {
        topic: written
            .topic
            .or(topic)
            .ok_or("it names no topic; add \"topic\", or --as-topic for all such lines")?,
        partition: written.partition,
        offset: written.offset.unwrap_or(offset),
        timestamp_ms: written.timestamp.map(|time| match time {
            Time::Milliseconds(ms) => ms,
            Time::Text(time) => time.as_millisecond(),
        }),
        key: written.key.map(bytes).transpose()?,
        value: written.value.map(bytes).transpose()?,
        headers: Pairs(
            headers
                .map(|(n, value)| (n, value.map(String::into_bytes)))
                .collect(),
        ),
    })
}

/// Text stands for its bytes, any other JSON for itself as it is written: no digit gets lost.
fn bytes(json: &RawValue) -> Result<Vec<u8>, String> {
    let json = json.get();
    if json.starts_with('"') {
        let text: String = serde_json::from_str(json).map_err(|error| error.to_string())?;
        Ok(text.into_bytes())
    } else {
        Ok(json.as_bytes().to_vec())
    }
}

impl Line {
    fn as_record(&self) -> Record<'_> {
        Record {
            topic: &self.topic,
            partition: self.partition,
            offset: self.offset,
            timestamp_ms: self.timestamp_ms,
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            headers: &self.headers,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn json(text: &str) -> Result<Line, String> {
        let defaults = Defaults {
            format: Format::Json,
            topic: Some("t".to_owned()),
        };
        parse(text.as_bytes(), 4, &defaults)
    }

    #[test]
    fn a_value_is_text_or_json_as_it_is_written() {
        let line = json(r#"{"value":{"id": 123456789012345678901234567890}}"#).unwrap();
        assert_eq!(line.value.unwrap(), br#"{"id": 123456789012345678901234567890}"#);
        let line = json(r#"{"value":"{\"id\":1}","key":"k"}"#).unwrap();
        assert_eq!(line.value.unwrap(), br#"{"id":1}"#);
        assert_eq!(line.key.unwrap(), b"k");
        assert_eq!(json(r#"{"value":null}"#).unwrap().value, None);
    }

    #[test]
    fn what_a_line_leaves_out_has_defaults() {
        let line = json(r#"{"value":1}"#).unwrap();
        assert_eq!((line.topic.as_str(), line.partition, line.offset), ("t", 0, 4));
        assert!(line.timestamp_ms.is_none() && line.headers.0.is_empty());
    }

    #[test]
    fn times_are_milliseconds_or_rfc_3339() {
        let at = |text: &str| json(&format!(r#"{{"timestamp":{text}}}"#)).map(|line| line.timestamp_ms);
        assert_eq!(at("1767225600000").unwrap(), Some(1_767_225_600_000));
        assert_eq!(at(r#""2026-01-01T00:00:00Z""#).unwrap(), Some(1_767_225_600_000));
        assert!(at(r#""yesterday""#).is_err());
    }

    #[test]
    fn a_misspelt_field_is_an_error() {
        assert!(json(r#"{"vaule":1}"#).is_err());
    }
}
