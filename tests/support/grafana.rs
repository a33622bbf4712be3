//! The files in `grafana/`: the dashboard, the rules, and what both ask of Prometheus.

use std::path::{Path, PathBuf};

use serde_json::Value;
use yaml_rust2::{Yaml, YamlLoader};

/// A file below `grafana/`.
pub fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("grafana").join(name)
}

/// Its text.
pub fn read(name: &str) -> String {
    let path = path(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A YAML file.
pub fn yaml(name: &str) -> Yaml {
    let mut documents = YamlLoader::load_from_str(&read(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!(documents.len(), 1, "{name}");
    documents.remove(0)
}

/// An alert or a recording rule.
#[derive(Debug, Clone)]
pub struct Rule {
    /// The name of the alert or of the recorded series.
    pub name: String,
    pub is_alert: bool,
    pub expr: String,
    /// `annotations` and `labels`.
    pub texts: Vec<(String, String)>,
}

impl Rule {
    /// An annotation or a label.
    pub fn text(&self, name: &str) -> Option<&str> {
        let found = self.texts.iter().find(|(key, _)| key == name)?;
        Some(&found.1)
    }
}

/// The rules of a file.
pub fn rules(name: &str) -> Vec<Rule> {
    let file = yaml(name);
    let groups = file["groups"].as_vec().expect("groups").iter();
    let rules = groups.flat_map(|group| group["rules"].as_vec().expect("rules"));
    let pairs = |yaml: &Yaml| -> Vec<(String, String)> {
        let Some(hash) = yaml.as_hash() else {
            return Vec::new();
        };
        hash.iter()
            .map(|(key, value)| {
                (
                    key.as_str().unwrap().to_owned(),
                    value.as_str().unwrap().to_owned(),
                )
            })
            .collect()
    };
    rules
        .map(|rule| {
            let alert = rule["alert"].as_str();
            Rule {
                name: alert.or(rule["record"].as_str()).unwrap().to_owned(),
                is_alert: alert.is_some(),
                expr: rule["expr"].as_str().unwrap().to_owned(),
                texts: [pairs(&rule["annotations"]), pairs(&rule["labels"])].concat(),
            }
        })
        .collect()
}

/// All dashboards with their file names.
pub fn dashboards() -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path("dashboards")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let text = read(&format!("dashboards/{name}"));
        let dashboard = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        found.push((name, dashboard));
    }
    assert!(!found.is_empty(), "no dashboards");
    found
}

/// The panels that show something.
pub fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    let panels = dashboard["panels"].as_array().expect("panels");
    panels.iter().filter(|panel| panel["type"] != "row")
}

/// A query of a panel.
#[derive(Debug, Clone)]
pub struct Query {
    /// The title of the panel.
    pub panel: String,
    pub expr: String,
    pub legend: String,
}

/// The queries of all panels and annotations.
pub fn queries() -> Vec<Query> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut found = Vec::new();
    for (_, dashboard) in dashboards() {
        for panel in panels(&dashboard) {
            for target in panel["targets"].as_array().expect("targets") {
                found.push(Query {
                    panel: text(&panel["title"]),
                    expr: text(&target["expr"]),
                    legend: text(&target["legendFormat"]),
                });
            }
        }
        for annotation in dashboard["annotations"]["list"].as_array().unwrap() {
            if annotation["expr"].is_string() {
                found.push(Query {
                    panel: format!("annotation {}", text(&annotation["name"])),
                    expr: text(&annotation["expr"]),
                    legend: text(&annotation["textFormat"]),
                });
            }
        }
    }
    assert!(found.len() > 20, "queries are missing");
    found
}
