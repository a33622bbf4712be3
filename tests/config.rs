//! The examples load, the reference doesn't drift, and wrong files are answered with exactly the expected text.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use kafka_redis_bridge::config::{Config, load};

fn toml_files(dir: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries
        .filter(|path| path.extension().is_some_and(|ext| ext == "toml"))
        .collect();
    files.sort();
    files
}

fn load_file(path: &Path) -> Result<Config, String> {
    load(Some(path), std::iter::empty(), Vec::new()).map_err(|error| error.to_string())
}

#[test]
fn every_example_loads() {
    let files = toml_files("config");
    assert!(files.len() >= 5, "examples are missing: {files:?}");
    for path in files {
        if let Err(error) = load_file(&path) {
            panic!("{error}");
        }
    }
}

#[test]
fn every_wrong_file_is_answered_with_the_expected_text() {
    let files = toml_files("tests/config");
    assert!(files.len() >= 25, "cases are missing");
    let mut differing = Vec::new();
    for path in files {
        let actual = match load_file(&path) {
            Ok(_) => "(accepted)".to_owned(),
            Err(error) => error,
        };
        // Marks every password in every case: it must not come back in any message.
        assert!(
            !actual.contains("hunter2"),
            "{}: a secret in the message: {actual}",
            path.display()
        );
        // UPDATE_EXPECTED=1 writes the texts down, to be read over before they are committed.
        let beside = path.with_extension("err");
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            std::fs::write(&beside, format!("{actual}\n")).unwrap();
        }
        let expected = std::fs::read_to_string(&beside).unwrap_or_default();
        if actual != expected.trim_end() {
            differing.push(format!(
                "{}\n  expected:\n{expected}\n  actual:\n{actual}\n",
                path.display()
            ));
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

/// `section.key` of each line, in comments too when `commented`.
fn keys(text: &str, commented: bool) -> BTreeSet<String> {
    let mut section = String::new();
    let mut keys = BTreeSet::new();
    for line in text.lines() {
        let line = if commented {
            line.strip_prefix("# ").unwrap_or(line)
        } else {
            line
        };
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name.to_owned();
        } else if let Some((key, _)) = line.split_once(" = ")
            && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        {
            keys.insert(format!("{section}.{key}"));
        }
    }
    keys
}

#[test]
fn the_reference_names_every_key() {
    let minimal = load_file(Path::new("config/minimal.toml"))
        .unwrap()
        .effective_toml();
    let reference = std::fs::read_to_string("config/reference.toml").unwrap();
    let mut expected = keys(&minimal, true);
    assert!(
        expected.contains("delivery.max_age") && expected.contains("dlq.guard.rate"),
        "{expected:?}"
    );
    // Without routes this is an empty list; the reference explains them in prose.
    assert!(expected.remove(".routes"));
    let missing: Vec<_> = expected.difference(&keys(&reference, true)).cloned().collect();
    assert!(missing.is_empty(), "config/reference.toml lacks {missing:?}");
}

#[test]
fn the_reference_shows_the_defaults() {
    let minimal = load_file(Path::new("config/minimal.toml"))
        .unwrap()
        .effective_toml();
    let reference = load_file(Path::new("config/reference.toml"))
        .unwrap()
        .effective_toml();
    assert_eq!(reference, minimal);
    // And each default is written out, not left to be assumed.
    let text = std::fs::read_to_string("config/reference.toml").unwrap();
    let unwritten: Vec<_> = keys(&minimal, false)
        .difference(&keys(&text, false))
        .cloned()
        .collect();
    assert_eq!(unwritten, [".routes"]);
}
