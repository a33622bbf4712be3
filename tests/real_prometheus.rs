//! A real Prometheus with the shipped rules scrapes two real copies: every query of the dashboard and every rule has an
//! answer, every metric is filled, and the alerts on lag, dead letters and Redis fire in an outage and end after it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use kafka_redis_bridge::observe::metrics::{NAMESPACE, PROCESS, descriptions};
use regex::Regex;
use serde_json::Value;
use support::bridge::Bridge;
use support::grafana;
use support::kafka::skipped;
use support::producer::NewRecord;
use support::redis::free_port;
use support::scenario::Scenario;
use support::{http, wait};

const DEADLINE: Duration = Duration::from_secs(40);

/// Parts of queries that have nothing to show in this run, and why.
const NOTHING_TO_SHOW: [(&str, &str); 3] = [
    (r#"outcome="dropped""#, "at_least_once drops nothing"),
    ("records_lost_total", "retention takes nothing away"),
    ("kafka_errors_total", "Kafka is well"),
];

/// Metrics that stay zero in this run, why, and the test in which they don't.
const FILLED_ELSEWHERE: [(&str, &str, &str); 8] = [
    (
        "records_lost_total",
        "retention takes nothing away",
        "real_start::a_commit_that_retention_has_overtaken_goes_on_at_the_log_start_and_is_counted",
    ),
    (
        "kafka_errors_total",
        "Kafka is well",
        "real_log::without_kafka_for_twenty_seconds_each_change_is_told_once",
    ),
    (
        "dlq_produce_failures_total",
        "every dead letter is taken",
        "real_dlq::without_its_topic_only_the_partition_with_the_dead_letter_waits",
    ),
    (
        "drain_timeouts_total",
        "no partition moves",
        "real_redis_outage::partitions_that_move_without_redis_are_given_up_in_time_and_lose_nothing",
    ),
    (
        "notification_fields_omitted_total",
        "there is room for every field",
        "real_trace::a_producers_trace_arrives_with_the_notification",
    ),
    (
        "notifications_without_receivers_total",
        "somebody hears them all",
        "real_http::a_publish_that_nobody_hears_is_counted",
    ),
    (
        "spans_exported_total",
        "no collector is set",
        "real_trace_otlp::a_collector_that_is_away_costs_no_records_and_is_told_once_and_counted",
    ),
    (
        "spans_dropped_total",
        "no collector is set",
        "real_trace_otlp::a_collector_that_is_away_costs_no_records_and_is_told_once_and_counted",
    ),
];

/// Prometheus in a folder of its own; killed on drop.
struct Prometheus {
    child: Child,
    address: SocketAddr,
    _dir: tempfile::TempDir,
}

impl Prometheus {
    /// The shipped configuration, in a hurry: seconds instead of minutes.
    fn start(test: &str, targets: &[SocketAddr]) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let hold = Regex::new(r"for: \d+m").unwrap();
        let range = Regex::new(r"\[\d+[mh]\]|offset 1h").unwrap();
        for file in ["recording.yml", "alerts.yml"] {
            let rules = grafana::read(&format!("prometheus/{file}"));
            let rules = hold.replace_all(&rules, "for: 1s");
            let rules = rules.replace("consumer_lag_seconds:max > 60", "consumer_lag_seconds:max > 3");
            let rules = range.replace_all(&rules, |found: &regex::Captures<'_>| {
                if found[0].starts_with('[') {
                    "[6s]"
                } else {
                    "offset 6s"
                }
            });
            std::fs::write(dir.path().join(file), rules.as_bytes()).unwrap();
        }
        let config = grafana::read("prometheus/prometheus.yml");
        let (head, _) = config.split_once("    dns_sd_configs:").expect("discovery");
        let head = Regex::new(r"_interval: \d+s")
            .unwrap()
            .replace_all(head, "_interval: 1s");
        let config = format!("{head}    static_configs:\n      - targets: {targets:?}\n");
        let quoted = Regex::new(r"(127\.0\.0\.1:\d+)")
            .unwrap()
            .replace_all(&config, "\"$1\"")
            .into_owned();
        std::fs::write(dir.path().join("prometheus.yml"), quoted).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let child = Command::new("prometheus")
            .current_dir(dir.path())
            .args([
                "--config.file=prometheus.yml",
                "--storage.tsdb.path=data",
                "--log.level=warn",
            ])
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .ok()
            .or_else(|| skipped(test, "prometheus is missing: scripts/install prometheus"))?;
        let prometheus = Self {
            child,
            address,
            _dir: dir,
        };
        wait::until_true("Prometheus is ready", DEADLINE, || {
            http::get(address, "/-/ready").is_ok_and(|response| response.status == 200)
        });
        Some(prometheus)
    }

    fn api(&self, path: &str) -> Value {
        let response = http::get(self.address, &format!("/api/v1/{path}")).unwrap();
        let answer: Value = serde_json::from_str(&response.body).unwrap();
        assert_eq!(answer["status"], "success", "{path}: {}", response.body);
        answer["data"].clone()
    }

    /// How many series answer a query.
    fn series(&self, expr: &str) -> usize {
        let query: String = url::form_urlencoded::byte_serialize(expr.as_bytes()).collect();
        self.api(&format!("query?query={query}"))["result"]
            .as_array()
            .unwrap()
            .len()
    }

    /// The alerts that fire, whose texts are whole.
    fn firing(&self) -> BTreeSet<String> {
        let alerts = self.api("alerts")["alerts"].as_array().unwrap().clone();
        let firing = alerts.iter().filter(|alert| alert["state"] == "firing");
        firing
            .map(|alert| {
                let text = alert["annotations"].to_string();
                assert!(!text.contains("<no value>") && !text.contains("<error"), "{text}");
                alert["labels"]["alertname"].as_str().unwrap().to_owned()
            })
            .collect()
    }

    #[track_caller]
    fn wait_firing(&self, names: &[&str], firing: bool) {
        let done = wait::poll(DEADLINE, || {
            let present = self.firing();
            names
                .iter()
                .all(|name| present.contains(*name) == firing)
                .then_some(())
        });
        assert!(
            done.is_some(),
            "{names:?} firing: {firing}; there are {:?}",
            self.firing()
        );
    }

    /// Metrics that were zero or absent whenever they were scraped.
    fn never_filled(&self) -> Vec<String> {
        let ours = descriptions()
            .iter()
            .map(|(name, _)| format!("{NAMESPACE}_{name}"));
        let all = ours.chain(PROCESS.map(str::to_owned));
        // Of a histogram, that it has counted.
        let filled = |name: &str| format!(r#"max_over_time({{__name__=~"{name}(_count)?"}}[10m]) > 0"#);
        all.filter(|name| self.series(&filled(name)) == 0).collect()
    }

    /// Takes the queries away that have an answer now, or never one in this run.
    fn strike_answered(&self, open: &mut Vec<(String, String)>) {
        open.retain(|(_, expr)| {
            !NOTHING_TO_SHOW.iter().any(|(part, _)| expr.contains(part)) && self.series(expr) == 0
        });
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the dashboard asks, with its variables at All.
fn dashboard_queries() -> Vec<(String, String)> {
    let filled = |expr: &str| {
        let expr = expr.replace("$__rate_interval", "30s").replace("$__range", "30s");
        Regex::new(r"\$\w+")
            .unwrap()
            .replace_all(&expr, ".*")
            .into_owned()
    };
    let queries = grafana::queries().into_iter();
    queries.map(|query| (query.panel, filled(&query.expr))).collect()
}

fn recorded() -> Vec<(String, String)> {
    let rules = grafana::rules("prometheus/recording.yml").into_iter();
    rules.map(|rule| (rule.name.clone(), rule.name)).collect()
}

#[test]
fn the_dashboard_has_answers_and_the_alerts_fire_in_an_outage_and_end_after_it() {
    let test = "the_dashboard_has_answers_and_the_alerts_fire_in_an_outage_and_end_after_it";
    let scenario = Scenario::new(require_kafka!(), 4);
    // Small batches: it takes few records to make partitions wait.
    let config = scenario.config().set("batch.max_records", 100);
    let bridges = [Bridge::start(&config), Bridge::start(&config)];
    wait::until_true("both copies work", DEADLINE, || {
        bridges.iter().all(|b| b.assigned() == 2)
    });
    let targets: Vec<SocketAddr> = bridges.iter().map(|bridge| bridge.address().unwrap()).collect();
    let Some(prometheus) = Prometheus::start(test, &targets) else {
        return;
    };
    wait::until_true("both are scraped", DEADLINE, || prometheus.series("up == 1") == 2);

    let load = scenario.load(1_000_000, 200);
    let odd = |value: &str| (0..4).map(|p| NewRecord::of(value).to(p)).collect::<Vec<_>>();
    scenario.kafka.produce(&scenario.topic, odd("not JSON"));
    scenario
        .kafka
        .produce(&scenario.topic, (0..4).map(|p| NewRecord::tombstone().to(p)));
    prometheus.wait_firing(&["BridgeDlqNotEmpty"], true);
    let well = prometheus.firing();
    let outage = ["BridgeRedisDown", "BridgeStalled", "BridgeLagRising"];
    assert!(outage.iter().all(|name| !well.contains(*name)), "{well:?}");

    let mut open = [dashboard_queries(), recorded()].concat();
    prometheus.strike_answered(&mut open);

    scenario.rig.kill_redis();
    prometheus.wait_firing(&outage, true);
    let answered = wait::poll(DEADLINE, || {
        scenario.kafka.produce(&scenario.topic, odd("[]"));
        prometheus.strike_answered(&mut open);
        open.is_empty().then_some(())
    });
    assert!(answered.is_some(), "no answer: {open:#?}");

    scenario.rig.restore_redis();
    prometheus.wait_firing(&outage, false);
    let ends: Vec<(i32, i64)> = scenario.kafka.ends(&scenario.dlq()).into_iter().collect();
    scenario.kafka.delete_records(&scenario.dlq(), &ends);
    prometheus.wait_firing(&["BridgeDlqNotEmpty"], false);
    prometheus.wait_firing(&outage, false);

    let mut unfilled = prometheus.never_filled();
    unfilled.retain(|name| !FILLED_ELSEWHERE.iter().any(|(other, ..)| name.ends_with(other)));
    assert_eq!(unfilled, [] as [&str; 0], "never more than zero");

    let rules = prometheus.api("rules");
    for group in rules["groups"].as_array().unwrap() {
        for rule in group["rules"].as_array().unwrap() {
            assert_eq!(rule["health"], "ok", "{rule}");
        }
    }
    load.stop();
}

#[test]
fn what_stays_zero_there_is_filled_in_another_test() {
    for (metric, reason, test) in FILLED_ELSEWHERE {
        let (file, function) = test.split_once("::").unwrap();
        let path = format!("{}/tests/{file}.rs", env!("CARGO_MANIFEST_DIR"));
        let source = std::fs::read_to_string(path).unwrap();
        let (_, body) = source
            .split_once(&format!("fn {function}("))
            .unwrap_or_else(|| panic!("there is no test {test}"));
        let body = body.split("\n}\n").next().unwrap();
        assert!(
            body.contains(metric),
            "{test} doesn't look at {metric} ({reason})"
        );
    }
}
