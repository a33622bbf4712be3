//! What `grafana/` asks for exists: metrics, labels and their values, panels that say what to do, runbook sections; and
//! Prometheus' own tool has nothing against the rules.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use kafka_redis_bridge::observe::metrics::{NAMESPACE, descriptions};
use kafka_redis_bridge::publish::error::ErrorClass;
use regex::Regex;
use support::grafana::{self, Rule};
use support::kafka::skipped;

/// What the dashboard leaves out, and why.
const NOT_SHOWN: [(&str, &str); 1] = [(
    "process_virtual_memory_bytes",
    "address space that is set aside costs nothing",
)];

/// What Prometheus and its discovery add to every series.
const OF_PROMETHEUS: [&str; 6] = ["job", "instance", "pod", "container", "endpoint", "le"];

/// A metric as the README's table has it; tests/docs.rs compares that with the registry.
struct Described {
    labels: BTreeSet<String>,
    is_histogram: bool,
    /// What the row says in code, e.g. the values of its labels.
    values: BTreeSet<String>,
}

fn metrics() -> BTreeMap<String, Described> {
    let readme = std::fs::read_to_string("README.md").unwrap();
    let rows = readme
        .lines()
        .skip_while(|line| !line.starts_with("| metric |"))
        .skip(2);
    let mut found = BTreeMap::new();
    for row in rows.take_while(|line| line.starts_with('|')) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let described = Described {
            labels: cells[3].split(", ").map(str::to_owned).collect(),
            is_histogram: cells[2] == "histogram",
            values: cells[4]
                .split('`')
                .skip(1)
                .step_by(2)
                .map(str::to_owned)
                .collect(),
        };
        found.insert(cells[1].trim_matches('`').to_owned(), described);
    }
    for (name, _) in descriptions() {
        assert!(found.contains_key(*name), "README has no {name}");
    }
    let errors = found.get_mut("redis_errors_total").unwrap();
    errors.values = ErrorClass::ALL
        .iter()
        .map(|class| class.as_str().to_owned())
        .collect();
    found
}

/// The metric that a series belongs to.
fn metric_of<'a>(series: &str, metrics: &'a BTreeMap<String, Described>) -> Option<(String, &'a Described)> {
    if let Some(found) = metrics.get(series) {
        return (!found.is_histogram).then(|| (series.to_owned(), found));
    }
    let base = ["_bucket", "_sum", "_count"]
        .iter()
        .find_map(|end| series.strip_suffix(end))?;
    let found = metrics.get(base).filter(|found| found.is_histogram)?;
    Some((base.to_owned(), found))
}

/// The values that a matcher names: `a|b` is two, a pattern is none.
fn named_values(value: &str) -> Vec<&str> {
    let plain =
        |value: &&str| !value.is_empty() && value.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    value.split('|').filter(plain).collect()
}

/// Checks an expression and returns the metrics it uses and the labels they have.
fn check(
    place: &str,
    expr: &str,
    metrics: &BTreeMap<String, Described>,
) -> (BTreeSet<String>, BTreeSet<String>) {
    let mut used = BTreeSet::new();
    let mut labels: BTreeSet<String> = OF_PROMETHEUS.iter().map(ToString::to_string).collect();
    let series = Regex::new(&format!(
        r"\b(?:{NAMESPACE}_(\w+)|(process_\w+))(?:\{{([^}}]*)\}})?"
    ))
    .unwrap();
    let matcher = Regex::new(r#"(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)""#).unwrap();
    for found in series.captures_iter(expr) {
        let name = found.get(1).or(found.get(2)).unwrap().as_str();
        let (base, described) =
            metric_of(name, metrics).unwrap_or_else(|| panic!("{place}: there is no metric {name}"));
        for pair in matcher.captures_iter(found.get(3).map_or("", |m| m.as_str())) {
            let (label, value) = (&pair[1], &pair[2]);
            let known = described.labels.contains(label) || OF_PROMETHEUS.contains(&label);
            assert!(known, "{place}: {name} has no label {label}");
            if !OF_PROMETHEUS.contains(&label) {
                for value in named_values(value) {
                    assert!(
                        described.values.contains(value),
                        "{place}: {name} has no {label} {value}"
                    );
                }
            }
        }
        labels.extend(described.labels.iter().cloned());
        used.insert(base);
    }
    let recorded = Regex::new(&format!(r"\b{NAMESPACE}:[\w:]+")).unwrap();
    let rules = grafana::rules("prometheus/recording.yml");
    for found in recorded.find_iter(expr) {
        let rule = rules.iter().find(|rule| rule.name == found.as_str());
        let rule = rule.unwrap_or_else(|| panic!("{place}: nothing records {}", found.as_str()));
        let (more, theirs) = check(&rule.name, &rule.expr, metrics);
        used.extend(more);
        labels.extend(theirs);
    }
    let list = Regex::new(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)").unwrap();
    for found in list.captures_iter(expr) {
        for label in found[1]
            .split(',')
            .map(str::trim)
            .filter(|label| !label.is_empty())
        {
            assert!(labels.contains(label), "{place}: no series has the label {label}");
        }
    }
    (used, labels)
}

/// The labels that a legend or an annotation names are there.
fn check_template(place: &str, template: &str, labels: &BTreeSet<String>) {
    let named = Regex::new(r"\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}").unwrap();
    for found in named.captures_iter(template) {
        assert!(
            labels.contains(&found[1]),
            "{place}: no series has the label {}",
            &found[1]
        );
    }
}

fn all_rules() -> Vec<Rule> {
    let mut rules = grafana::rules("prometheus/recording.yml");
    rules.extend(grafana::rules("prometheus/alerts.yml"));
    rules
}

fn alerts() -> Vec<Rule> {
    let alerts = grafana::rules("prometheus/alerts.yml");
    assert!(alerts.len() >= 15 && alerts.iter().all(|rule| rule.is_alert));
    alerts
}

#[test]
fn dashboards_and_rules_use_metrics_and_labels_that_exist_and_leave_none_out() {
    let metrics = metrics();
    let mut used = BTreeSet::new();
    for query in grafana::queries() {
        let (found, mut labels) = check(&query.panel, &query.expr, &metrics);
        if query.expr.contains("ALERTS{") {
            labels.insert("alertname".to_owned());
            labels.extend(["topic", "partition"].map(str::to_owned));
        }
        check_template(&query.panel, &query.legend, &labels);
        used.extend(found);
    }
    for (name, _) in NOT_SHOWN {
        assert!(metrics.contains_key(name) && !used.contains(name), "{name}");
        used.insert(name.to_owned());
    }
    let known: BTreeSet<String> = metrics.keys().cloned().collect();
    assert_eq!(used, known, "what the dashboard shows, and what there is");
    for rule in all_rules() {
        let (_, labels) = check(&rule.name, &rule.expr, &metrics);
        for (_, text) in &rule.texts {
            check_template(&rule.name, text, &labels);
        }
    }
}

#[test]
fn variables_of_the_dashboard_ask_for_what_exists() {
    let metrics = metrics();
    for (name, dashboard) in grafana::dashboards() {
        let mut found = BTreeSet::new();
        for variable in dashboard["templating"]["list"].as_array().unwrap() {
            let variable_name = variable["name"].as_str().unwrap();
            found.insert(variable_name.to_owned());
            let Some(query) = variable["query"]["query"].as_str() else {
                continue;
            };
            let (_, labels) = check(variable_name, query, &metrics);
            let label = query.rsplit_once(", ").unwrap().1.trim_end_matches(')');
            assert!(labels.contains(label), "{name}: {query}");
            assert_eq!(variable["definition"], query, "{name}: {variable_name}");
        }
        let wanted = ["datasource", "group", "instance", "job", "topic"];
        assert_eq!(found, wanted.map(str::to_owned).into(), "{name}");
    }
}

#[test]
fn every_panel_has_a_title_with_its_unit_and_says_what_to_do() {
    for (name, dashboard) in grafana::dashboards() {
        let mut ids = BTreeSet::new();
        let mut titles = BTreeSet::new();
        for panel in dashboard["panels"].as_array().unwrap() {
            assert!(
                ids.insert(panel["id"].as_u64().unwrap()),
                "{name}: {}",
                panel["id"]
            );
        }
        for panel in grafana::panels(&dashboard) {
            let title = panel["title"].as_str().unwrap();
            assert!(titles.insert(title), "{name}: two panels {title:?}");
            let is_plain = title == "Alerts firing";
            assert!(is_plain || title.ends_with(')'), "{name}: {title:?} has no unit");
            let description = panel["description"].as_str().unwrap();
            assert!(description.len() > 60, "{name}: {title:?} doesn't say what to do");
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{name}: {title}");
            let steps = &panel["fieldConfig"]["defaults"]["thresholds"]["steps"];
            let has_steps = steps.as_array().is_some_and(|steps| !steps.is_empty());
            assert!(
                has_steps || panel["type"] == "heatmap",
                "{name}: {title} has no thresholds"
            );
        }
    }
}

#[test]
fn every_alert_says_what_it_means_and_leads_to_its_section_of_the_runbook() {
    let readme = std::fs::read_to_string("README.md").unwrap();
    let runbook = readme.split("\n### Runbook\n").nth(1).expect("the runbook");
    let runbook = runbook.split("\n### ").next().unwrap();
    let sections: BTreeSet<&str> = runbook
        .lines()
        .filter_map(|line| line.strip_prefix("#### "))
        .collect();
    let alerts = alerts();
    for alert in &alerts {
        let text = |name| {
            let text = alert.text(name).unwrap_or_default();
            assert!(!text.is_empty(), "{} has no {name}", alert.name);
            text
        };
        assert!(text("description").len() > 60, "{}", alert.name);
        assert!(text("summary").len() < 140, "{}", alert.name);
        assert!(
            ["critical", "warning"].contains(&text("severity")),
            "{}",
            alert.name
        );
        let anchor = format!("README.md#{}", alert.name.to_lowercase());
        assert_eq!(text("runbook"), anchor, "{}", alert.name);
    }
    let names: BTreeSet<&str> = alerts.iter().map(|alert| alert.name.as_str()).collect();
    assert_eq!(sections, names, "sections of the runbook, and alerts");
}

#[test]
fn every_alert_has_a_case_for_and_a_case_against() {
    let file = grafana::yaml("prometheus/tests/alerts.yml");
    let (mut fires, mut does_not) = (BTreeSet::new(), BTreeSet::new());
    let name = Regex::new(r#"alertname=~?"([\w|]+)""#).unwrap();
    for test in file["tests"].as_vec().unwrap() {
        for case in test["promql_expr_test"].as_vec().unwrap() {
            let Some(found) = name.captures(case["expr"].as_str().unwrap()) else {
                continue;
            };
            let empty = case["exp_samples"].as_vec().unwrap().is_empty();
            let set = if empty { &mut does_not } else { &mut fires };
            set.extend(found[1].split('|').map(str::to_owned));
        }
    }
    let names: BTreeSet<String> = alerts().into_iter().map(|alert| alert.name).collect();
    assert_eq!(fires, names, "cases in which it fires");
    assert_eq!(does_not, names, "cases in which it doesn't");
}

/// Runs promtool; nothing, said loudly, when it isn't installed.
fn promtool(test: &str, arguments: &[&str]) {
    let output = Command::new("promtool")
        .current_dir(grafana::path("prometheus"))
        .args(arguments)
        .output();
    let Some(output) = output
        .ok()
        .or_else(|| skipped(test, "promtool is missing: scripts/install prometheus"))
    else {
        return;
    };
    let said = [output.stdout, output.stderr].concat();
    assert!(
        output.status.success(),
        "{arguments:?}\n{}",
        String::from_utf8_lossy(&said)
    );
}

#[test]
fn promtool_has_nothing_against_the_configuration() {
    promtool(
        "promtool_has_nothing_against_the_configuration",
        &["check", "config", "prometheus.yml"],
    );
}

#[test]
fn the_unit_tests_of_the_rules_pass() {
    promtool(
        "the_unit_tests_of_the_rules_pass",
        &["test", "rules", "tests/alerts.yml"],
    );
}

#[test]
fn compose_mounts_and_provisions_what_is_there() {
    let compose =
        yaml_rust2::YamlLoader::load_from_str(&std::fs::read_to_string("docker-compose.yml").unwrap());
    let compose = &compose.unwrap()[0];
    let mut mounted = BTreeMap::new();
    for service in ["prometheus", "grafana"] {
        let service = &compose["services"][service];
        let image = service["image"].as_str().unwrap();
        assert!(image.contains(':') && !image.ends_with(":latest"), "{image}");
        assert!(service["healthcheck"]["test"].as_vec().is_some(), "{image}");
        for port in service["ports"].as_vec().unwrap() {
            assert!(port.as_str().unwrap().starts_with("127.0.0.1:"), "{image}");
        }
        for volume in service["volumes"].as_vec().unwrap() {
            let parts: Vec<&str> = volume.as_str().unwrap().split(':').collect();
            if let Some(here) = parts[0].strip_prefix("./") {
                assert!(std::path::Path::new(here).exists(), "{here}");
                mounted.insert(parts[1].to_owned(), here.to_owned());
            }
        }
    }
    let provider = grafana::yaml("provisioning/dashboards/kafka-redis-bridge.yml");
    let folder = provider["providers"][0]["options"]["path"].as_str().unwrap();
    assert_eq!(mounted[folder], "grafana/dashboards");
    let home = "GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH";
    let home = compose["services"]["grafana"]["environment"][home]
        .as_str()
        .unwrap();
    let file = home.strip_prefix(&format!("{folder}/")).unwrap();
    assert!(grafana::path("dashboards").join(file).exists(), "{home}");
    let prometheus = grafana::yaml("prometheus/prometheus.yml");
    let discovery = &prometheus["scrape_configs"][0]["dns_sd_configs"][0];
    let service = discovery["names"][0].as_str().unwrap();
    assert!(!compose["services"][service].is_badvalue(), "{service}");
    for file in prometheus["rule_files"].as_vec().unwrap() {
        let inside = format!("/etc/prometheus/{}", file.as_str().unwrap());
        assert!(mounted.contains_key(&inside), "{inside} isn't mounted");
    }
}
