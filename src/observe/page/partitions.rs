//! The table of partitions: the worst first, and no more than anybody reads.

use std::cmp::Ordering;

use maud::{Markup, html};

use crate::observe::status::PartitionStatus;
use crate::observe::verdict::{BEHIND_AFTER_SECONDS, pause_in_words};
use crate::observe::words::{count, grouped, moment};

/// Rows that are shown; `/status` has all of them.
const MAX_ROWS: usize = 50;

/// Paused ones first, then those that are furthest behind. What differs by little keeps its place, or rows would swap
/// from second to second.
fn worst_first(a: &PartitionStatus, b: &PartitionStatus) -> Ordering {
    let seconds = |p: &PartitionStatus| p.lag.lag_seconds.unwrap_or(0.0).round();
    let records = |p: &PartitionStatus| two_digits(p.lag.lag_records.unwrap_or(0));
    b.paused
        .is_empty()
        .cmp(&a.paused.is_empty())
        .reverse()
        .then(seconds(b).total_cmp(&seconds(a)))
        .then(records(b).cmp(&records(a)))
        .then_with(|| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)))
}

/// `1234` becomes `1200`.
fn two_digits(number: u64) -> u64 {
    let unit = 10_u64.pow(number.checked_ilog10().unwrap_or(0).saturating_sub(1));
    number / unit * unit
}

/// The table.
pub fn table(partitions: &[PartitionStatus]) -> Markup {
    if partitions.is_empty() {
        return html! { p.rest { "No partition is assigned to this copy." } };
    }
    let mut sorted: Vec<&PartitionStatus> = partitions.iter().collect();
    sorted.sort_unstable_by(|a, b| worst_first(a, b));
    let rest = sorted.split_off(sorted.len().min(MAX_ROWS));
    // What is no lag to speak of makes no long bars.
    let seconds = partitions.iter().filter_map(|p| p.lag.lag_seconds);
    let longest = seconds.fold(BEHIND_AFTER_SECONDS, f64::max);
    html! {
        section.partitions {
            table {
                caption { "Partitions of this copy" @if partitions.len() > 1 { span { ", the worst first" } } }
                thead {
                    tr {
                        th scope="col" { "Partition" }
                        th.number scope="col" { "Lag" }
                        th.bar aria-hidden="true" {}
                        th.number scope="col" { "Records behind" }
                        th.number.wide scope="col" { "Committed" }
                        th.number.wide scope="col" { "End" }
                        th.number.wide scope="col" { "In flight" }
                        th scope="col" { "State" }
                    }
                }
                tbody { @for partition in sorted { (row(partition, longest)) } }
            }
            @if !rest.is_empty() { p.rest { (remainder(&rest)) } }
        }
    }
}

fn row(partition: &PartitionStatus, longest: f64) -> Markup {
    let unknown = || "–".to_owned();
    let offset = |offset: Option<i64>| offset.map_or_else(unknown, |o| grouped(o.unsigned_abs()));
    let lag = &partition.lag;
    // Asked for now and then: what is committed since then lies before the end as well.
    let end = lag.end.max(partition.committed.filter(|_| lag.end.is_some()));
    html! {
        tr {
            th scope="row" { span.topic title=(partition.topic) { (partition.topic) } span.index { "/" (partition.partition) } }
            td.number { (lag.lag_seconds.map_or_else(unknown, moment)) }
            td.bar aria-hidden="true" { (bar(lag.lag_seconds.unwrap_or(0.0) / longest)) }
            td.number { (lag.lag_records.map_or_else(unknown, count)) }
            td.number.wide { (offset(partition.committed)) }
            td.number.wide { (offset(end)) }
            td.number.wide { (count(partition.in_flight)) }
            td {
                @match partition.paused.as_slice() {
                    [] => span.reads { "reads" },
                    reasons => span.paused {
                        "paused: " (reasons.iter().map(|r| pause_in_words(r)).collect::<Vec<_>>().join("; "))
                    }
                }
            }
        }
    }
}

/// A picture of the lag in seconds, for those who see it; the column beside it says the same.
fn bar(share: f64) -> Markup {
    let width = format!("{:.1}", 100.0 * share);
    html! {
        svg viewBox="0 0 100 6" preserveAspectRatio="none" { rect width=(width) height="6" rx="1" {} }
    }
}

fn remainder(rest: &[&PartitionStatus]) -> String {
    let seconds = rest.iter().filter_map(|p| p.lag.lag_seconds).fold(0.0, f64::max);
    let records: u64 = rest.iter().filter_map(|p| p.lag.lag_records).sum();
    format!(
        "and {} more, none further behind than {}, {} records in all",
        count(rest.len() as u64),
        moment(seconds),
        count(records)
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::observe::status::LagStatus;

    fn partition(number: i32, lag_seconds: f64, paused: Vec<&'static str>) -> PartitionStatus {
        PartitionStatus {
            topic: Arc::from("<b>&\"orders\"</b>"),
            partition: number,
            committed: Some(1_000),
            position: 2_000,
            in_flight: 3,
            lag: LagStatus {
                end: Some(3_000),
                lag_records: Some(2_000),
                lag_seconds: Some(lag_seconds),
            },
            paused,
        }
    }

    #[test]
    fn the_worst_come_first_and_the_rest_is_counted() {
        let mut many: Vec<_> = (0..1_000).map(|n| partition(n, f64::from(n), vec![])).collect();
        many[7].paused = vec!["dlq"];
        let html = table(&many).into_string();
        assert_eq!(html.matches("<tr>").count(), 1 + MAX_ROWS);
        let place = |number: i32| html.find(&format!("/{number}</span>")).unwrap_or(usize::MAX);
        assert!(place(7) < place(999) && place(999) < place(998) && place(998) < usize::MAX);
        assert!(
            html.contains("and 950 more, none further behind than 15 min 50 s, 1,900,000 records in all"),
            "{html}"
        );
    }

    #[test]
    fn markup_in_names_stays_text() {
        let html = table(&[partition(0, 0.0, vec![])]).into_string();
        assert!(
            html.contains("&lt;b&gt;&amp;&quot;orders&quot;&lt;/b&gt;") && !html.contains("<b>"),
            "{html}"
        );
    }
}
