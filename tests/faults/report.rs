//! How the cases ended: a line for each as it ends, and a report in Markdown and JSON.

use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;

use super::setting::Figures;

/// How a case ended.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    pub name: String,
    pub promise: String,
    pub passed: bool,
    /// Why it failed.
    pub failure: Option<String>,
    pub seconds: f64,
    #[serde(flatten)]
    pub figures: Figures,
    /// What happened when.
    pub events: Vec<String>,
}

/// Everything about a run of the suite.
#[derive(Debug, Serialize)]
pub struct Report {
    pub seed: u64,
    pub version: String,
    pub commit: String,
    /// Those of Kafka and Redis.
    pub servers: String,
    pub machine: String,
    pub at: String,
    pub seconds: f64,
    pub outcomes: Vec<Outcome>,
}

/// The heads of the columns, for lines and table alike.
pub const HEADS: [&str; 9] = [
    "fault", "", "records", "lost", "dropped", "twice", "disorder", "stall", "recovery",
];

impl Outcome {
    fn cells(&self) -> [String; 9] {
        let seconds = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |s| format!("{s:.2} s"));
        let figures = &self.figures;
        [
            self.name.clone(),
            if self.passed { "passed" } else { "FAILED" }.to_owned(),
            figures.records.to_string(),
            figures.lost.to_string(),
            figures.dropped.to_string(),
            figures.duplicates.to_string(),
            figures.disorder.to_string(),
            seconds(figures.worst_stall),
            seconds(figures.recovery),
        ]
    }

    /// One line for people.
    pub fn line(&self) -> String {
        let mut line = columns(&self.cells());
        if let Some(remark) = self.figures.remarks.first() {
            let _ = write!(line, "  {remark}");
        }
        line
    }
}

/// Cells under the heads.
pub fn columns<T: AsRef<str>>(cells: &[T; 9]) -> String {
    let widths = [38, 6, 8, 5, 8, 6, 8, 8, 8];
    let mut line = String::new();
    for (at, (cell, width)) in cells.iter().zip(widths).enumerate() {
        let cell = cell.as_ref();
        let _ = match at < 2 {
            true => write!(line, "{cell:<width$} "),
            false => write!(line, "{cell:>width$} "),
        };
    }
    line.trim_end().to_owned()
}

impl Report {
    /// Whether there is no failure.
    pub fn passed(&self) -> bool {
        self.outcomes.iter().all(|outcome| outcome.passed)
    }

    /// Whether every case has failed for having lost records.
    pub fn noticed(&self) -> bool {
        let caught = |outcome: &Outcome| !outcome.passed && outcome.figures.lost > 0;
        println!(
            "the program is broken on purpose: {}",
            if self.outcomes.iter().all(caught) {
                "noticed"
            } else {
                "NOT NOTICED"
            }
        );
        self.outcomes.iter().all(caught)
    }

    /// Writes `report.md` and `report.json`.
    pub fn write(&self, folder: &Path) -> std::io::Result<()> {
        std::fs::create_dir_all(folder)?;
        std::fs::write(folder.join("report.md"), self.markdown())?;
        std::fs::write(
            folder.join("report.json"),
            serde_json::to_string_pretty(self)? + "\n",
        )
    }

    /// The sum of what happened.
    pub fn summary(&self) -> String {
        let failed = self.outcomes.iter().filter(|outcome| !outcome.passed).count();
        let records: usize = self.outcomes.iter().map(|outcome| outcome.figures.records).sum();
        let lost: usize = self.outcomes.iter().map(|outcome| outcome.figures.lost).sum();
        format!(
            "{} cases, {failed} failed, {records} records, {lost} lost, {:.1} minutes, seed {}",
            self.outcomes.len(),
            self.seconds / 60.0,
            self.seed
        )
    }

    fn markdown(&self) -> String {
        let mut text = format!(
            "# Faults\n\n{}. {} ({}), {}, {}, {}.\n\n",
            self.summary(),
            self.version,
            self.commit,
            self.servers,
            self.machine,
            self.at
        );
        let row = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        text += &row(&HEADS.map(str::to_owned));
        text += &row(&[
            "---", "---", "---:", "---:", "---:", "---:", "---:", "---:", "---:",
        ]
        .map(str::to_owned));
        for outcome in &self.outcomes {
            text += &row(&outcome.cells());
        }
        for outcome in self
            .outcomes
            .iter()
            .filter(|outcome| !outcome.figures.remarks.is_empty())
        {
            let _ = write!(
                text,
                "\n- {}: {}",
                outcome.name,
                outcome.figures.remarks.join("; ")
            );
        }
        text.push('\n');
        for outcome in self.outcomes.iter().filter(|outcome| !outcome.passed) {
            let failure = outcome.failure.as_deref().unwrap_or_default();
            let events = outcome.events.join("\n");
            let _ = write!(
                text,
                "\n## {} failed\n\n```\n{failure}\n\n{events}\n```\n",
                outcome.name
            );
        }
        text
    }
}
