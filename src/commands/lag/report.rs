//! What `lag` says: JSON for programs, a table for people.

use std::sync::Arc;
use std::time::Duration;

use indicatif::HumanCount;
use jiff::Timestamp;
use serde::Serialize;

use super::members::{Member, Members};
use crate::commands::text::{printable, table};
use crate::progress::Position;
use crate::source::extent::Extent;
use crate::source::offsets::TopicPartition;
use crate::source::peek::First;

/// The group at one moment.
#[derive(Debug, Serialize)]
pub struct Report {
    group_id: String,
    state: Option<String>,
    members: usize,
    at: Timestamp,
    /// Of all partitions where it is known.
    lag_records: u64,
    /// The longest of them.
    lag_seconds: Option<f64>,
    partitions: Vec<Row>,
}

/// One partition.
#[derive(Debug, Serialize)]
pub struct Row {
    topic: Arc<str>,
    partition: i32,
    committed: Option<i64>,
    log_start: Option<i64>,
    end: Option<i64>,
    lag_records: Option<u64>,
    lag_seconds: Option<f64>,
    member: Option<Arc<Member>>,
    /// Where the next record may be.
    #[serde(skip)]
    from: Option<Position>,
}

impl Row {
    /// `from` is where the group goes on: at its commit, or where it will start without one.
    pub fn new(
        (topic, partition): TopicPartition,
        committed: Option<Position>,
        from: Option<Position>,
        extent: Option<Extent>,
        member: Option<Arc<Member>>,
    ) -> Self {
        // A commit beyond the end is of a log that was made anew: this one is read from its beginning.
        let in_log = |extent: Extent| from.map(|from| extent.position(from));
        let from = extent.and_then(in_log);
        let lag_records = extent.zip(from).map(|(extent, from)| extent.behind(from));
        Self {
            topic,
            partition,
            committed: committed.map(|committed| committed.0),
            log_start: extent.map(|extent| extent.log_start.0),
            end: extent.map(|extent| extent.end.0),
            lag_records,
            lag_seconds: (lag_records == Some(0)).then_some(0.0),
            member,
            from,
        }
    }

    /// Whether only the log can tell how old its next record is.
    pub fn is_lagging(&self) -> bool {
        self.lag_records.is_some_and(|records| records > 0)
    }

    /// Where to look for it.
    pub fn next(&self) -> Option<(TopicPartition, Position)> {
        self.from
            .map(|from| ((Arc::clone(&self.topic), self.partition), from))
    }

    /// What was found there. Where there is no record up to the end, nothing lags.
    pub fn note(&mut self, first: First, now_ms: i64) {
        match first {
            First::Record { timestamp_ms, .. } => {
                self.lag_seconds = timestamp_ms.map(|timestamp| {
                    let age = u64::try_from(now_ms.saturating_sub(timestamp)).unwrap_or(0);
                    Duration::from_millis(age).as_secs_f64()
                });
            }
            First::End(_) => {
                self.lag_records = Some(0);
                self.lag_seconds = Some(0.0);
            }
        }
    }

    fn cells(&self) -> Vec<String> {
        let number = |number: Option<i64>| number.map_or_else(unknown, |number| number.to_string());
        vec![
            printable(&self.topic).into_owned(),
            self.partition.to_string(),
            number(self.committed),
            number(self.end),
            self.lag_records
                .map_or_else(unknown, |n| HumanCount(n).to_string()),
            self.lag_seconds.map_or_else(unknown, age),
            self.member
                .as_ref()
                .map_or_else(unknown, |member| printable(&member.short()).into_owned()),
        ]
    }
}

impl Report {
    /// Adds up.
    pub fn new(group_id: &str, members: &Members, partitions: Vec<Row>) -> Self {
        let seconds = partitions.iter().filter_map(|row| row.lag_seconds);
        Self {
            group_id: group_id.to_owned(),
            state: (!members.state.is_empty()).then(|| members.state.clone()),
            members: members.count,
            at: Timestamp::now(),
            lag_records: partitions.iter().filter_map(|row| row.lag_records).sum(),
            lag_seconds: seconds.reduce(f64::max),
            partitions,
        }
    }

    /// One line for programs.
    pub fn json(&self) -> serde_json::Result<String> {
        Ok(serde_json::to_string(self)? + "\n")
    }

    /// For people.
    pub fn text(&self) -> String {
        let summary = self.summary();
        if self.partitions.is_empty() {
            return format!("{summary}\nNo commits, and no topic that matches: nothing to lag behind.\n");
        }
        let titles = ["topic", "partition", "committed", "end", "lag", "age", "owner"];
        let mut table = table(&titles, self.partitions.iter().map(Row::cells));
        for index in 1..=5 {
            if let Some(column) = table.column_mut(index) {
                column.set_cell_alignment(comfy_table::CellAlignment::Right);
            }
        }
        format!("{summary}\n\n{}\n", table.trim_fmt())
    }

    fn summary(&self) -> String {
        let group = printable(&self.group_id);
        let state = self.state.as_deref().unwrap_or("unknown").to_lowercase();
        let oldest = match self.lag_seconds {
            Some(seconds) if self.lag_records > 0 => format!(", the oldest of them {} old", age(seconds)),
            _ => String::new(),
        };
        format!(
            "group {group} is {state}; members: {}; lag: {} records{oldest}",
            self.members,
            HumanCount(self.lag_records),
        )
    }
}

fn unknown() -> String {
    "–".to_owned()
}

/// Tenths below a minute, whole seconds above.
fn age(seconds: f64) -> String {
    if seconds < 60.0 {
        return format!("{seconds:.1}s");
    }
    let whole = Duration::from_secs(Duration::from_secs_f64(seconds).as_secs());
    humantime::format_duration(whole).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Offset;

    fn row(committed: i64, log_start: i64, end: i64) -> Row {
        let committed = Some(Position(committed));
        let extent = Extent {
            log_start: Position(log_start),
            end: Position(end),
        };
        Row::new((Arc::from("t"), 3), committed, committed, Some(extent), None)
    }

    fn lag(row: &Row) -> (Option<u64>, Option<f64>) {
        (row.lag_records, row.lag_seconds)
    }

    #[test]
    fn lag_is_never_negative_and_what_retention_took_is_none() {
        assert_eq!(lag(&row(5, 0, 5)), (Some(0), Some(0.0)));
        assert_eq!(lag(&row(5, 0, 8)), (Some(3), None));
        assert_eq!(lag(&row(5, 7, 8)), (Some(1), None));
        // A log that was made anew.
        assert_eq!(lag(&row(50, 0, 8)), (Some(8), None));
        let unknown = Row::new((Arc::from("t"), 3), None, None, None, None);
        assert_eq!(lag(&unknown), (None, None));
    }

    #[test]
    fn the_next_record_tells_the_seconds_and_markers_are_no_lag() {
        let mut row = row(5, 0, 8);
        let record = |timestamp_ms| First::Record {
            offset: Offset(5),
            timestamp_ms,
        };
        row.note(record(Some(1_000)), 3_500);
        assert_eq!(lag(&row), (Some(3), Some(2.5)));
        row.note(record(Some(9_000)), 3_500);
        assert_eq!(lag(&row), (Some(3), Some(0.0)));
        row.note(record(None), 3_500);
        assert_eq!(lag(&row), (Some(3), None));
        row.note(First::End(Position(8)), 3_500);
        assert_eq!(lag(&row), (Some(0), Some(0.0)));
    }

    #[test]
    fn ages_are_short() {
        for (seconds, text) in [(0.0, "0.0s"), (4.26, "4.3s"), (75.9, "1m 15s"), (7200.0, "2h")] {
            assert_eq!(age(seconds), text);
        }
    }
}
