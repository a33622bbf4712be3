//! The documents don't drift: tables are compared with the program, examples run, and what is named exists.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Parser;
use kafka_redis_bridge::commands::Cli;
use kafka_redis_bridge::config::load;
use kafka_redis_bridge::derive::Reason;
use kafka_redis_bridge::dlq::letter;
use kafka_redis_bridge::exit::Exit;
use kafka_redis_bridge::observe::books::{AbandonReason, DropReason, Outcome, SkipReason};
use kafka_redis_bridge::observe::lag::{Oldest, Standing};
use kafka_redis_bridge::observe::metrics::{Metrics, NAMESPACE, PROCESS, descriptions};
use kafka_redis_bridge::progress::Position;
use kafka_redis_bridge::source::extent::Extent;

#[path = "docs/examples.rs"]
mod examples;

const DOCUMENTS: [&str; 3] = ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"];

fn read(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The cells of the rows below the table header that starts with `header`.
fn table(document: &str, header: &str) -> Vec<Vec<String>> {
    let text = read(document);
    let mut lines = text.lines().skip_while(|line| !line.starts_with(header));
    assert!(lines.next().is_some(), "{document} has no table {header:?}");
    let rows: Vec<Vec<String>> = lines
        .skip(1)
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells = line.trim_matches('|').split('|');
            cells.map(|cell| cell.trim().to_owned()).collect()
        })
        .collect();
    assert!(!rows.is_empty(), "{document}: the table {header:?} is empty");
    rows
}

/// What stands in backticks.
fn code(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The fenced blocks of a language.
fn blocks(document: &str, language: &str) -> Vec<String> {
    let text = read(document);
    let fence = format!("```{language}\n");
    let blocks = text.split(&fence).skip(1);
    blocks
        .map(|block| block.split("```").next().unwrap().to_owned())
        .collect()
}

/// Type and labels.
type Described = (String, BTreeSet<String>);

/// Every metric as a scrape shows it once something has happened.
fn registered() -> BTreeMap<String, Described> {
    let (metrics, mut ledger) = Metrics::new().unwrap();
    // A family with labels shows only after its first event.
    metrics.node("localhost:6379");
    metrics.records_lost.with_label_values(&["t", "c"]);
    metrics.kafka_errors.with_label_values(&["e"]);
    metrics.dlq_produced.with_label_values(&["t", "r"]);
    metrics.dlq_depth.with_label_values(&["d"]);
    metrics.dlq_oldest_age.with_label_values(&["d"]);
    metrics.dlq_retention.with_label_values(&["d"]);
    metrics.paused_partitions.with_label_values(&["r"]);
    metrics.committed_offset.with_label_values(&["g", "t", "0"]);
    show_lag(&metrics);
    let topic = ledger.topic(&Arc::from("t"));
    ledger.consumed(topic);
    ledger.settled(topic, Outcome::Published, 1);
    ledger.publish(0);

    let text = metrics.render().unwrap();
    let prefix = format!("{NAMESPACE}_");
    let mut found: BTreeMap<String, Described> = BTreeMap::new();
    let mut current = String::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            name.strip_prefix(&prefix)
                .unwrap_or(name)
                .clone_into(&mut current);
            found.insert(current.clone(), (kind.to_owned(), BTreeSet::new()));
        } else if let Some((_, labels)) = line.split_once('{') {
            let labels = labels.split(',').filter_map(|pair| pair.split_once('='));
            let labels = labels
                .map(|(name, _)| name.to_owned())
                .filter(|name| name != "le");
            found.get_mut(&current).unwrap().1.extend(labels);
        }
    }
    let declared = descriptions().iter().map(|(name, _)| *name);
    let declared: BTreeSet<&str> = declared.chain(PROCESS).collect();
    let shown: BTreeSet<&str> = found.keys().map(String::as_str).collect();
    assert_eq!(
        declared, shown,
        "a metric with labels needs an event above before it shows"
    );
    found
}

/// The lag of a partition is shown once its end is known.
fn show_lag(metrics: &Metrics) {
    let standing = Standing {
        partition: (Arc::from("t"), 0),
        slot: 0,
        generation: 1,
        committed: Position(0),
        settled: Position(0),
        oldest: Oldest::At(0),
        is_read: true,
    };
    let extent = Extent {
        log_start: Position(0),
        end: Position(1),
    };
    metrics.lag.leave_extents(std::iter::once((1, extent)));
    metrics.lag.share("g", std::iter::once(standing));
}

#[test]
fn the_table_of_metrics_is_what_the_registry_has() {
    let documented: BTreeMap<String, Described> = table("README.md", "| metric |")
        .into_iter()
        .map(|row| {
            let labels = row[2].split(", ").filter(|label| !label.is_empty());
            let labels = labels.map(str::to_owned).collect();
            (row[0].trim_matches('`').to_owned(), (row[1].clone(), labels))
        })
        .collect();
    assert_eq!(documented, registered());
}

#[test]
fn every_outcome_of_a_record_is_named() {
    let rows = table("README.md", "| metric |");
    let row = rows
        .iter()
        .find(|row| row[0] == "`records_settled_total`")
        .unwrap();
    let named = code(&row[3]);
    for outcome in [
        Outcome::Published,
        Outcome::Skipped(SkipReason::Tombstone),
        Outcome::Skipped(SkipReason::TooOld),
        Outcome::Skipped(SkipReason::NoRoute),
        Outcome::Dropped(DropReason::RedisDown),
        Outcome::Dropped(DropReason::RetryExhausted),
        Outcome::Dropped(DropReason::ChannelDenied),
        Outcome::Abandoned(AbandonReason::AssignmentLost),
        Outcome::Abandoned(AbandonReason::Deadline),
    ] {
        let (outcome, reason) = outcome.labels();
        assert!(named.contains(&outcome), "{outcome}");
        assert!(reason.is_empty() || named.contains(&reason), "{reason}");
    }
}

#[test]
fn every_reason_and_header_of_a_dead_letter_is_named() {
    let readme = read("README.md");
    let section = readme.split("### Dead letters").nth(1).unwrap();
    let named: BTreeSet<&str> = code(section.split("```").next().unwrap()).into_iter().collect();
    for reason in Reason::ALL {
        assert!(named.contains(reason.as_str()), "{reason}");
    }
    for header in [
        letter::TOPIC,
        letter::PARTITION,
        letter::OFFSET,
        letter::GROUP,
        letter::MESSAGE,
        letter::REASON,
        letter::FAILED_AT,
        letter::ORIGINAL_TIMESTAMP,
        letter::VERSION,
        letter::REPLAY_COUNT,
        letter::OMITTED,
        letter::VALUE_SHA256,
    ] {
        assert!(named.contains(header), "{header}");
    }
}

#[test]
fn the_exit_codes_are_these() {
    let documented: Vec<u8> = table("README.md", "| code |")
        .iter()
        .map(|row| row[0].parse().unwrap())
        .collect();
    let codes = [
        Exit::Ok,
        Exit::Usage,
        Exit::Data,
        Exit::Unavailable,
        Exit::Software,
        Exit::Undrained,
        Exit::Config,
    ];
    assert_eq!(documented, codes.map(|code| code as u8));
}

#[test]
fn the_configurations_load() {
    let dir = tempfile::tempdir().unwrap();
    for secret in ["kafka-password", "redis-password"] {
        std::fs::write(dir.path().join(secret), "secret\n").unwrap();
    }
    let blocks = blocks("README.md", "toml");
    assert!(blocks.len() >= 3, "configurations are missing");
    for block in blocks {
        let here = format!("{}/", dir.path().display());
        let path = dir.path().join("bridge.toml");
        std::fs::write(&path, block.replace("/run/secrets/", &here)).unwrap();
        if let Err(error) = load(Some(&path), std::iter::empty(), Vec::new()) {
            panic!("{error}\n{block}");
        }
    }
}

#[test]
fn the_command_lines_are_understood() {
    let blocks = blocks("README.md", "sh").join("\n");
    let lines: Vec<&str> = blocks
        .lines()
        .filter(|line| line.starts_with("kafka-redis-bridge "))
        .collect();
    assert!(lines.len() >= 5, "command lines are missing");
    for line in lines {
        let command = line.split(" #").next().unwrap();
        let words = command.split_whitespace().map(|word| word.trim_matches('\''));
        if let Err(error) = Cli::try_parse_from(words) {
            panic!("{line}\n{error}");
        }
    }
}

/// As the source says it, in the words of the table.
fn in_words(value: &str) -> String {
    let number = |prefix: &str| value.strip_prefix(prefix)?.strip_suffix(')');
    if let Some(seconds) = number("Duration::from_secs(") {
        return format!("{seconds} s");
    }
    if let Some(milliseconds) = number("Duration::from_millis(") {
        return format!("{milliseconds} ms");
    }
    match value.split_once(" << ") {
        Some((mebibytes, "20")) => format!("{mebibytes} MiB"),
        Some((kibibytes, "10")) => format!("{kibibytes} KiB"),
        _ => value.to_owned(),
    }
}

#[test]
fn the_bounds_are_those_of_the_source() {
    for row in table("ARCHITECTURE.md", "| constant |") {
        let (name, file) = (row[0].trim_matches('`'), row[2].trim_matches('`'));
        let source = read(file);
        let declaration = format!("const {name}: ");
        let line = source.lines().find(|line| line.contains(&declaration));
        let line = line.unwrap_or_else(|| panic!("{file} has no {name}"));
        let value = line.split(" = ").nth(1).unwrap().trim_end_matches(';');
        assert_eq!(row[1], in_words(value), "{name} in {file}");
    }
}

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn the_tests_and_modules_that_show_and_keep_the_invariants_exist() {
    let mut files = Vec::new();
    sources(Path::new("src"), &mut files);
    sources(Path::new("tests"), &mut files);
    let mut tests = 0;
    for row in table("ARCHITECTURE.md", "| | invariant |") {
        for module in code(&row[2]) {
            assert!(Path::new("src").join(module).exists(), "src/{module}");
        }
        for test in code(&row[3]) {
            let (file, function) = test.split_once("::").unwrap();
            let declaration = format!("fn {function}(");
            let here = files
                .iter()
                .any(|path| path.file_stem().unwrap() == file && read(path).contains(&declaration));
            assert!(here, "there is no test {test}");
            tests += 1;
        }
    }
    assert!(tests >= 10, "tests are missing");
}

/// A heading as GitHub makes an anchor of it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = kept
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn links_lead_somewhere() {
    for document in DOCUMENTS {
        let text = read(document);
        let targets = text
            .split("](")
            .skip(1)
            .map(|rest| rest.split(')').next().unwrap());
        for target in targets.filter(|target| !target.contains("://")) {
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() { document } else { file };
            assert!(Path::new(file).exists(), "{document}: {target}");
            let there = heading.is_empty()
                || read(file)
                    .lines()
                    .any(|line| line.starts_with('#') && anchor(line) == heading);
            assert!(there, "{document}: {target}");
        }
    }
}
