//! What is aimed at, beside what was measured.

use serde::{Deserialize, Serialize};

use crate::report::Report;

/// One of them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Target {
    pub what: String,
    /// Text, with the unit.
    pub wanted: String,
    pub measured: String,
    pub reached: bool,
}

/// Those that the report can tell about. Of what was measured several times, the median counts.
pub fn of(report: &Report) -> Vec<Target> {
    let mut targets = drain(report);
    targets.extend(latency(report));
    targets.extend(memory(report));
    targets.extend(idle(report));
    targets
}

fn drain(report: &Report) -> Vec<Target> {
    let mut targets = Vec::new();
    for row in &report.drain {
        let (name, codec) = (&row.name, &row.codec);
        let most_cpu = match name.as_str() {
            "best_effort" | "at_least_once" => 1.4,
            "realistic route" => 2.0,
            _ => continue,
        };
        if let Some(ratio) = row.throughput_ratio.filter(|_| most_cpu < 2.0) {
            targets.push(Target {
                what: format!("throughput, {name}, {codec}"),
                wanted: "≥ 0.80 of the floor".to_owned(),
                measured: format!("{:.2}", ratio.median),
                reached: ratio.median >= 0.8,
            });
        }
        if let Some(ratio) = row.cpu_ratio {
            targets.push(Target {
                what: format!("CPU per record, {name}, {codec}"),
                wanted: format!("≤ {most_cpu:.2} × the floor"),
                measured: format!("{:.2}", ratio.median),
                reached: ratio.median <= most_cpu,
            });
        }
    }
    targets
}

fn latency(report: &Report) -> Option<Target> {
    const RATE: u64 = 10_000;
    let p99 = |name| {
        let row = report
            .latency
            .iter()
            .find(|row| row.rate == RATE && row.name == name)?;
        Some(row.p99.median)
    };
    let more = p99("bridge")? - p99("floor")?;
    Some(Target {
        what: format!("p99 at {RATE}/s"),
        wanted: "≤ the floor + 1 ms".to_owned(),
        measured: format!("{more:+.2} ms"),
        reached: more <= 1.0,
    })
}

fn memory(report: &Report) -> Vec<Target> {
    let limit = |partitions| if partitions <= 12 { 128.0 } else { 256.0 };
    let target = |row: &crate::memory::Row| Target {
        what: format!("peak memory, {} partitions", row.partitions),
        wanted: format!("≤ {} MiB", limit(row.partitions)),
        measured: format!("{:.0} MiB", row.peak_mib),
        reached: row.peak_mib <= limit(row.partitions),
    };
    report.memory.iter().map(target).collect()
}

fn idle(report: &Report) -> Option<Target> {
    let row = report.idle.iter().find(|row| row.name == "bridge")?;
    Some(Target {
        what: format!("idle, {} partitions", row.partitions),
        wanted: "≤ 1 % of a core".to_owned(),
        measured: format!("{:.2} %", row.percent),
        reached: row.percent <= 1.0,
    })
}
