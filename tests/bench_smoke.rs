//! The benchmark works: few records, no judgement of figures.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// Runs the benchmark as `make bench` does, but as it is built for tests.
fn bench(arguments: &[&str]) -> Output {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    Command::new(cargo)
        .args([
            "bench",
            "--quiet",
            "--locked",
            "--profile",
            "dev",
            "--bench",
            "bridge",
            "--",
        ])
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap()
}

/// What it printed, once it has succeeded.
fn printed(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn report(file: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

fn rows<'a>(report: &'a Value, scenario: &str) -> &'a [Value] {
    report[scenario].as_array().unwrap()
}

#[test]
fn a_quick_run_measures_every_scenario_and_writes_what_it_prints() {
    // It starts servers of its own; this only tells whether any can be had.
    if std::env::var("KAFKA_BOOTSTRAP_SERVERS")
        .unwrap_or_default()
        .is_empty()
    {
        let demanded = std::env::var("REQUIRE_REAL_KAFKA").as_deref() == Ok("1");
        assert!(!demanded, "the benchmark can't run: no real Kafka");
        eprintln!("SKIPPED: the benchmark: no real Kafka");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bench.json");
    let path = file.to_str().unwrap();
    let tables = printed(&bench(&["--quick", "--json", path]));
    let report = report(&file);

    let names = |scenario| -> Vec<&str> {
        rows(&report, scenario)
            .iter()
            .map(|row| row["name"].as_str().unwrap())
            .collect()
    };
    let drained = [
        "floor",
        "best_effort",
        "at_least_once",
        "realistic route",
        "2 copies",
        "3 copies",
    ];
    assert_eq!(names("drain"), drained);
    assert_eq!(names("latency"), ["floor", "bridge"]);
    assert_eq!(names("idle"), ["floor", "bridge"]);
    for row in rows(&report, "drain") {
        for figure in ["throughput", "micros_per_record"] {
            assert!(row[figure]["median"].as_f64().unwrap() > 0.0, "{figure} of {row}");
        }
        assert_eq!(row["cpu_ratio"].is_null(), row["name"] == "floor", "{row}");
    }
    for row in rows(&report, "latency") {
        assert_eq!(row["missing"], 0, "{row}");
        let (median, maximum) = (row["p50"]["median"].as_f64(), row["max"]["median"].as_f64());
        assert!(median.unwrap() > 0.0 && median <= maximum, "{row}");
    }
    for row in rows(&report, "memory") {
        assert!(row["peak_mib"].as_f64().unwrap() > 1.0, "{row}");
        assert!(row["samples"].as_u64().unwrap() > 0, "{row}");
    }
    for version in [
        "bridge",
        "build",
        "commit",
        "kafka",
        "librdkafka",
        "redis",
        "rustc",
    ] {
        assert_ne!(
            report["environment"]["versions"][version],
            Value::Null,
            "{version}"
        );
    }
    assert_eq!(
        report["environment"]["consumer"]["isolation.level"],
        "read_committed"
    );

    assert_eq!(rows(&report, "targets").len(), 8);
    for target in rows(&report, "targets") {
        assert!(
            tables.contains(target["what"].as_str().unwrap()),
            "{target} in {tables}"
        );
    }
    let markdown = printed(&bench(&["--markdown", path]));
    assert!(markdown.contains("| best_effort "), "{markdown}");
}

#[test]
fn a_file_that_is_not_there_is_told() {
    let output = bench(&["--markdown", "/nowhere/bench.json"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(
        said.contains("bench: /nowhere/bench.json: No such file"),
        "{said}"
    );
}
