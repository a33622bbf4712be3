//! The report as tables: for a terminal, or as Markdown for the README.

use comfy_table::presets::{ASCII_MARKDOWN, NOTHING};
use comfy_table::{CellAlignment, Table};

use crate::report::Report;
use crate::spread::Spread;
use crate::{drain, idle, latency, memory};

/// How tables look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    Terminal,
    Markdown,
}

/// All tables that have rows, each under its title.
pub fn render(report: &Report, style: Style) -> String {
    let parts = [
        ("Environment", environment(report)),
        ("Draining a backlog", drained(&report.drain)),
        (
            "Latency, from the producer's schedule to the subscriber, ms",
            latencies(&report.latency),
        ),
        ("Memory while a backlog is drained", memories(&report.memory)),
        ("Idle", idles(&report.idle)),
        ("Targets", targets(report)),
    ];
    let mut text = String::new();
    for (title, rows) in parts.into_iter().filter(|(_, rows)| rows.len() > 1) {
        let heading = if style == Style::Markdown {
            format!("**{title}**")
        } else {
            title.to_owned()
        };
        text += &format!("{heading}\n\n{}\n\n", table(rows, style));
    }
    text
}

type Rows = Vec<Vec<String>>;

/// The first row is the header. Figures stand to the right, texts to the left.
fn table(mut rows: Rows, style: Style) -> String {
    let mut table = Table::new();
    table.load_preset(match style {
        Style::Markdown => ASCII_MARKDOWN,
        Style::Terminal => NOTHING,
    });
    table.set_header(rows.remove(0));
    let figures: Vec<bool> = (0..rows[0].len())
        .map(|column| rows.iter().all(|row| is_figure(&row[column])))
        .collect();
    table.add_rows(rows);
    for (column, _) in table
        .column_iter_mut()
        .zip(figures)
        .filter(|(_, figures)| *figures)
    {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.trim_fmt()
}

/// Absent figures are empty.
fn is_figure(cell: &str) -> bool {
    cell.trim_start_matches(['+', '-'])
        .starts_with(|first: char| first.is_ascii_digit())
        || cell.is_empty()
}

fn texts<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

/// The median, and the extremes where they differ.
fn spread(spread: Spread, digits: usize) -> String {
    let Spread { median, min, max } = spread;
    if min == max {
        return format!("{median:.digits$}");
    }
    format!("{median:.digits$} ({min:.digits$}–{max:.digits$})")
}

fn environment(report: &Report) -> Rows {
    let environment = &report.environment;
    let machine = &environment.machine;
    let mut rows = vec![
        texts(["what", "value"]),
        texts(["date", &environment.date.to_string()]),
        vec![
            "machine".to_owned(),
            format!(
                "{} cores, {}, {:.0} GiB, Linux {}, load {} before",
                machine.cores, machine.cpu, machine.memory_gib, machine.kernel, machine.load_before
            ),
        ],
    ];
    let more = environment.versions.iter().chain(&environment.settings);
    rows.extend(more.map(|(name, value)| vec![name.clone(), value.clone()]));
    rows
}

fn drained(drained: &[drain::Row]) -> Rows {
    let header = texts([
        "who",
        "codec",
        "million records/s",
        "of the floor",
        "CPU µs/record",
        "× the floor",
        "with start",
        "cores: it",
        "Redis",
        "Kafka",
        "others",
    ]);
    let ratio = |ratio: Option<Spread>| ratio.map_or_else(String::new, |ratio| spread(ratio, 2));
    let row = |row: &drain::Row| {
        let cores = &row.cores;
        let mut cells = vec![
            row.name.clone(),
            row.codec.clone(),
            spread(row.throughput.times(1e-6), 2),
            ratio(row.throughput_ratio),
            spread(row.micros_per_record, 2),
            ratio(row.cpu_ratio),
            format!("{:.2}", row.micros_per_record_with_start.median),
        ];
        cells.extend(
            [cores.subject, cores.redis, cores.kafka, cores.others].map(|cores| format!("{cores:.2}")),
        );
        cells
    };
    std::iter::once(header).chain(drained.iter().map(row)).collect()
}

fn latencies(latencies: &[latency::Row]) -> Rows {
    let header = texts([
        "records/s",
        "who",
        "p50",
        "p99",
        "p99.9",
        "max",
        "sender late, p99",
        "missing",
    ]);
    let row = |row: &latency::Row| {
        let mut cells = vec![row.rate.to_string(), row.name.clone()];
        cells.extend([row.p50, row.p99, row.p999, row.max, row.sender_p99].map(|figure| spread(figure, 2)));
        cells.push(row.missing.to_string());
        cells
    };
    std::iter::once(header).chain(latencies.iter().map(row)).collect()
}

fn memories(memories: &[memory::Row]) -> Rows {
    let header = texts([
        "partitions",
        "records",
        "peak, MiB",
        "growth over the last half, MiB",
        "seconds",
    ]);
    let row = |row: &memory::Row| {
        vec![
            row.partitions.to_string(),
            row.records.to_string(),
            format!("{:.0}", row.peak_mib),
            format!("{:+.1}", row.growth_mib),
            format!("{:.1}", row.seconds),
        ]
    };
    std::iter::once(header).chain(memories.iter().map(row)).collect()
}

fn idles(idles: &[idle::Row]) -> Rows {
    let header = texts(["who", "partitions", "% of a core"]);
    let row = |row: &idle::Row| {
        vec![
            row.name.clone(),
            row.partitions.to_string(),
            format!("{:.2}", row.percent),
        ]
    };
    std::iter::once(header).chain(idles.iter().map(row)).collect()
}

fn targets(report: &Report) -> Rows {
    let header = texts(["target", "wanted", "measured", "reached"]);
    let row = |target: &crate::targets::Target| {
        let reached = if target.reached { "yes" } else { "no" };
        texts([&target.what, &target.wanted, &target.measured, reached])
    };
    std::iter::once(header)
        .chain(report.targets.iter().map(row))
        .collect()
}
