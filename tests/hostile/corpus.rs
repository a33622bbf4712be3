//! Every file of `tests/corpus` is a record's value, and the folder that it is in is the verdict of the default
//! envelope: `ready`, or the reason of the dead letter. The fuzzer starts from the same files.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use kafka_redis_bridge::derive::{Derivation, Reason, Route};
use serde_json::json;

use super::checks::derive::{derive, record};
use super::checks::json::{enveloped_the_same, judged_the_same};
use super::support::cli::{code, command};

const CAP: usize = 1024;

struct Case {
    verdict: String,
    name: String,
    value: Vec<u8>,
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for folder in fs::read_dir("tests/corpus").unwrap() {
        let folder = folder.unwrap();
        let verdict = folder.file_name().into_string().unwrap();
        for file in fs::read_dir(folder.path()).unwrap() {
            let file = file.unwrap();
            cases.push(Case {
                verdict: verdict.clone(),
                name: file.file_name().into_string().unwrap(),
                value: fs::read(file.path()).unwrap(),
            });
        }
    }
    cases
}

fn verdict(derivation: &Derivation) -> &'static str {
    match derivation {
        Derivation::Ready { .. } => "ready",
        Derivation::Skip(skip) => skip.as_str(),
        Derivation::Reject(rejection) => rejection.reason.as_str(),
    }
}

#[test]
fn the_corpus_has_every_verdict_that_a_value_can_get() {
    let verdicts: BTreeSet<String> = cases().into_iter().map(|case| case.verdict).collect();
    let of_values = Reason::ALL
        .into_iter()
        .filter(|reason| *reason != Reason::ChannelDenied);
    let expected: BTreeSet<String> = of_values
        .map(|reason| reason.as_str().to_owned())
        .chain(["ready".to_owned()])
        .collect();
    assert_eq!(verdicts, expected);
    assert!(Path::new("tests/corpus/invalid_json/empty").exists());
}

#[test]
fn every_value_gets_the_verdict_of_its_folder_and_serde_json_agrees() {
    let route = Route::default_envelope().unwrap();
    let mut wrong = Vec::new();
    for case in cases() {
        let (derivation, _) = derive(&route, &record(None, &case.value), CAP);
        if verdict(&derivation) != case.verdict {
            wrong.push(format!("{}/{}: {derivation:?}", case.verdict, case.name));
        }
        enveloped_the_same(&case.value, CAP);
        judged_the_same(&case.value);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What the command shows of a record.
#[derive(serde::Deserialize)]
struct Shown {
    outcome: String,
    reason: Option<String>,
}

/// Runs `derive --json` on these lines and returns the verdict of each.
fn derived(format: &str, lines: &[u8]) -> Vec<String> {
    let mut child = command()
        .args(["derive", "--json", "--as-topic", "t", "--format", format])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let lines = lines.to_vec();
    // Beside reading, since neither pipe holds everything.
    let writing = std::thread::spawn(move || input.write_all(&lines).unwrap());
    let done = child.wait_with_output().unwrap();
    writing.join().unwrap();
    assert_eq!(code(done.status), 65, "{}", String::from_utf8_lossy(&done.stderr));
    let outcome = |line: &str| {
        let shown: Shown = serde_json::from_str(line).unwrap();
        shown.reason.unwrap_or(shown.outcome)
    };
    String::from_utf8(done.stdout)
        .unwrap()
        .lines()
        .map(outcome)
        .collect()
}

#[test]
fn the_command_derive_says_the_same() {
    // What is one line is a line; what is text can be told as JSON as well, whatever it holds.
    let is_line = |value: &[u8]| !value.is_empty() && !value.contains(&b'\n') && value.trim_ascii() == value;
    let (mut lines, mut of_lines) = (Vec::new(), Vec::new());
    let (mut objects, mut of_objects) = (Vec::new(), Vec::new());
    for case in cases() {
        let text = std::str::from_utf8(&case.value);
        assert!(
            text.is_ok() || is_line(&case.value),
            "{} can't be told to the command",
            case.name
        );
        if let Ok(text) = text {
            objects.extend_from_slice(format!("{}\n", json!({"value": text})).as_bytes());
            of_objects.push(case.verdict.clone());
        }
        if is_line(&case.value) {
            lines.extend_from_slice(&case.value);
            lines.push(b'\n');
            of_lines.push(case.verdict);
        }
    }
    assert_eq!(derived("value", &lines), of_lines);
    assert_eq!(derived("json", &objects), of_objects);
}
