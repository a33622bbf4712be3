//! Kafka's own tool for consumer groups.

use std::collections::BTreeMap;
use std::process::Command;

use super::kafka::Kafka;
use super::private_broker::script;

/// What the tool says of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// `CURRENT-OFFSET`.
    pub committed: i64,
    /// `LOG-END-OFFSET`: the high watermark.
    pub end: i64,
    /// `LAG`.
    pub lag: i64,
    /// `CLIENT-ID`.
    pub client: String,
}

/// The partitions of a group that reads one topic; those without a commit are left out.
pub fn describe(kafka: &Kafka, group: &str) -> BTreeMap<i32, Described> {
    let lines = tool(kafka, group, &["--describe"]);
    let rows = lines.lines().filter(|line| line.starts_with(group));
    rows.filter_map(|row| {
        let cells: Vec<&str> = row.split_whitespace().collect();
        let described = Described {
            committed: cells.get(3)?.parse().ok()?,
            end: cells.get(4)?.parse().ok()?,
            lag: cells.get(5)?.parse().ok()?,
            client: (*cells.get(8)?).to_owned(),
        };
        Some((cells.get(2)?.parse().ok()?, described))
    })
    .collect()
}

/// Moves the commits of a group that nobody is a member of.
pub fn rewind(kafka: &Kafka, group: &str, topic: &str, offset: i64) {
    let offset = offset.to_string();
    let arguments = [
        "--reset-offsets",
        "--topic",
        topic,
        "--to-offset",
        &offset,
        "--execute",
    ];
    tool(kafka, group, &arguments);
}

fn tool(kafka: &Kafka, group: &str, arguments: &[&str]) -> String {
    let done = Command::new(script())
        .args(["cli", "consumer-groups", "--bootstrap-server", &kafka.bootstrap])
        .args(["--group", group])
        .args(arguments)
        .output()
        .unwrap();
    let (said, complaint) = (
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr),
    );
    assert!(done.status.success(), "{arguments:?}: {said}{complaint}");
    said.into_owned()
}
