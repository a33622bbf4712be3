//! The status for people: one page that needs nothing from elsewhere. It is whole without scripts; the script only
//! fetches the same page again and puts its parts in place, so that nothing is rendered twice.

mod partitions;
mod sparkline;

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

use super::status::{DlqStatus, Document};
use super::verdict::{Level, State};
use super::words::{count, moment, rate, span};

const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = include_str!("page/page.js");
/// Without scripts the page is loaded anew after this many seconds.
const RELOAD_AFTER_SECONDS: &str = "3";

/// What the page may do: its own style and script, known by their hashes, and asking where it came from; nothing else.
pub fn content_security_policy() -> &'static str {
    static POLICY: LazyLock<String> = LazyLock::new(|| {
        let hash = |text: &str| STANDARD.encode(Sha256::digest(text));
        format!(
            "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; img-src data:; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            hash(STYLE),
            hash(SCRIPT)
        )
    });
    &POLICY
}

/// The whole page.
pub fn render(status: &Document) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                noscript { meta http-equiv="refresh" content=(RELOAD_AFTER_SECONDS); }
                title { (status.health.summary) " · " (status.group_id) }
                link rel="icon" href=(icon(status.health.level));
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    p.product { "kafka-redis-bridge" }
                    p.group title="Consumer group" { (status.group_id) }
                    p #pulse .pulse hidden { span.beat {} span #pulse-text { "live" } }
                }
                main {
                    (headline(status))
                    div #live { (live(status)) }
                }
                footer {
                    p #about { (about(status)) }
                    nav aria-label="More" {
                        a href="status" { "JSON" } a href="status/schema" { "schema" } a href="metrics" { "metrics" }
                    }
                }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string()
}

fn class(level: Level) -> &'static str {
    match level {
        Level::Ok => "ok",
        Level::Warning => "warning",
        Level::Critical => "critical",
    }
}

fn icon(level: Level) -> String {
    let colour = match level {
        Level::Ok => "1a7f4b",
        Level::Warning => "b7791f",
        Level::Critical => "c5303c",
    };
    format!(
        "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'>\
         <circle cx='8' cy='8' r='7' fill='%23{colour}'/></svg>"
    )
}

/// What a screen reader says when it changes: no numbers, which change all the time.
fn announced(state: State) -> &'static str {
    match state {
        State::KeepingUp => "Keeping up",
        State::Behind => "Behind",
        State::Waiting => "Partitions wait",
        State::StandingBy => "Standing by",
        State::Starting => "Starting",
        State::Stopping => "Stopping",
        State::RedisDown => "Redis is down",
        State::KafkaDown => "Kafka can't be reached",
        State::Refused => "The configuration is refused",
        State::Stuck => "Not working",
    }
}

fn headline(status: &Document) -> Markup {
    let health = &status.health;
    html! {
        section #headline class=(format!("headline {}", class(health.level))) {
            span.light aria-hidden="true" {}
            div {
                h1 { (health.summary) }
                p { (health.detail) }
            }
        }
        p #announcer .unseen role="status" { (announced(health.state)) }
        p #stale .stale hidden {}
    }
}

/// What changes from second to second.
fn live(status: &Document) -> Markup {
    html! {
        section.cards aria-label="Figures" {
            (throughput(status))
            (latency(status))
            (lag(status))
            (redis(status))
            (letters(&status.dlq))
            (assignment(status))
        }
        (partitions::table(&status.pipeline.partitions))
    }
}

fn card(name: &str, level: Level, figure: &str, unit: &str, more: &Markup) -> Markup {
    html! {
        article class=(format!("card {}", class(level))) {
            h2 { (name) }
            p.figure { (figure) @if !unit.is_empty() { " " span.unit { (unit) } } }
            div.more { (more) }
        }
    }
}

fn throughput(status: &Document) -> Markup {
    let now = status.throughput.records_per_second;
    let figure = now.map_or_else(|| "–".to_owned(), rate);
    let more = sparkline::draw(&status.throughput.last_minute);
    card("Throughput", Level::Ok, &figure, "records/s", &more)
}

fn latency(status: &Document) -> Markup {
    let latency = &status.latency;
    let (Some(p50), Some(p99)) = (latency.p50_seconds, latency.p99_seconds) else {
        let more = html! { p { "Nothing published in the last minute" } };
        return card("Latency", Level::Ok, "–", "", &more);
    };
    let more = html! {
        p { "p99 " strong { (moment(p99)) } }
        p { "Record to Redis, last " (span(u32::try_from(latency.window_seconds).unwrap_or(u32::MAX).into())) }
    };
    card("Latency", Level::Ok, &moment(p50), "p50", &more)
}

fn lag(status: &Document) -> Markup {
    let figure = status.lag.seconds.map_or_else(|| "–".to_owned(), moment);
    let level = match status.health.state {
        State::Behind => status.health.level,
        _ => Level::Ok,
    };
    let more = html! {
        p {
            @match status.lag.records {
                Some(records) => { strong { (count(records)) } " records to the end" }
                None => "Not known yet"
            }
        }
        p { "The worst of this copy's partitions" }
    };
    card("Lag", level, &figure, "", &more)
}

fn redis(status: &Document) -> Markup {
    let redis = &status.redis;
    let (figure, level) = match (redis.up, redis.answered_once) {
        (true, _) => ("Up", Level::Ok),
        (false, true) => ("Down", Level::Critical),
        (false, false) => ("Not reached yet", Level::Warning),
    };
    let circuit = match redis.circuit_open {
        true if status.drops() => "Circuit open: records are dropped at once",
        true => "Circuit open: it is tried again and again",
        false => "Circuit closed",
    };
    let more = html! {
        p.name { (redis.node) }
        p { (circuit) }
    };
    card("Redis", level, figure, "", &more)
}

fn letters(dlq: &DlqStatus) -> Markup {
    let figure = dlq.depth.map_or_else(|| "–".to_owned(), count);
    let level = match dlq.depth {
        Some(1..) => Level::Warning,
        _ => Level::Ok,
    };
    let more = html! {
        p {
            @match (dlq.depth, dlq.oldest_age_seconds) {
                (None, _) => "Depth not known yet",
                (Some(0), _) => "None is open",
                (_, Some(age)) => { "Oldest " strong { (span(age)) } }
                (_, None) => "Age not known"
            }
        }
        p.name { (dlq.topic) }
    };
    card("Dead letters", level, &figure, "", &more)
}

fn assignment(status: &Document) -> Markup {
    let partitions = &status.pipeline.partitions;
    let paused = partitions
        .iter()
        .filter(|partition| !partition.paused.is_empty())
        .count();
    let level = if paused > 0 { Level::Warning } else { Level::Ok };
    let unit = if partitions.len() == 1 {
        "partition"
    } else {
        "partitions"
    };
    let more = html! {
        p { strong { (count(status.pipeline.records_in_flight)) } " in flight" }
        p { @if paused == 0 { "None is paused" } @else { strong { (count(paused as u64)) } " paused" } }
    };
    card("This copy", level, &count(partitions.len() as u64), unit, &more)
}

fn about(status: &Document) -> Markup {
    let records = &status.records;
    html! {
        "Version " (status.version) ", " (status.mode) ", up for " (span(status.uptime_seconds)) ". Since the start: "
        (count(records.published)) " records published, " (count(records.skipped)) " skipped, "
        (count(records.dead_lettered)) " dead letters, " (count(records.dropped)) " dropped."
    }
}
