//! What librdkafka tells: rebalances and commits for the polling thread, faults for log, metrics and readiness.

use std::sync::{Arc, Mutex, PoisonError};

use crossbeam_channel::Sender;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaRespErr;
use serde::Deserialize;

use super::client::Consumer;
use crate::observe::health::Health;
use crate::observe::metrics::Metrics;

/// What librdkafka reports and the polling thread handles, in order, when it is back from polling.
#[derive(Debug)]
pub enum Event {
    /// The group gives partitions; they are read only after `incremental_assign`.
    Assign(TopicPartitionList),
    /// The group takes partitions; they are ours until `incremental_unassign`, unless they are lost already.
    Revoke {
        /// Which.
        partitions: TopicPartitionList,
        /// Another member may have them already: nothing may be committed.
        lost: bool,
    },
    /// A commit was answered.
    Committed {
        /// How.
        result: Result<(), RDKafkaErrorCode>,
        /// What was committed, each with its own error.
        offsets: TopicPartitionList,
    },
    /// librdkafka knows no broker any more.
    Stranded,
}

/// Queues events and tells log and metrics what librdkafka reports.
pub struct Context {
    events: Sender<Event>,
    metrics: Metrics,
    health: Arc<Health>,
    outage: Outage,
}

impl Context {
    /// Events go to `events`.
    pub fn new(events: Sender<Event>, metrics: Metrics, health: Arc<Health>) -> Self {
        Self {
            events,
            metrics,
            health,
            outage: Outage::default(),
        }
    }

    fn queue(&self, event: Event) {
        // The receiver lives as long as the polling thread; afterwards nothing is to be handled.
        let _ = self.events.send(event);
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.metrics
            .kafka_errors
            .with_label_values(&[&error_label(&error)])
            .inc();
        let refused = error.rdkafka_error_code().and_then(needed_permission);
        if let Some(advice) = refused {
            self.health.set_kafka_refusal(Some(format!("{reason}; {advice}")));
        }
        if is_outage(&error) && !self.outage.is_news(&error) {
            return;
        }
        match refused {
            Some(advice) => tracing::error!(%error, "Kafka refuses the configuration: {reason}; {advice}"),
            None => tracing::warn!(%error, "Kafka: {reason}"),
        }
    }

    fn stats_raw(&self, statistics: &[u8]) {
        if let Ok(statistics) = serde_json::from_slice::<Statistics>(statistics) {
            let up = statistics.brokers_up();
            self.metrics.kafka_brokers_up.set(up);
            self.health.set_brokers_up(up);
            if up > 0 && self.outage.end() {
                tracing::info!("Kafka is well again");
            }
            if !statistics.has_brokers() {
                self.queue(Event::Stranded);
            }
        }
    }
}

impl ConsumerContext for Context {
    /// Only notes what is to be done: the polling thread drains, commits and answers with `incremental_assign` or
    /// `incremental_unassign` once poll has returned. librdkafka waits for that answer.
    fn rebalance(&self, consumer: &Consumer, error: RDKafkaRespErr, partitions: &mut TopicPartitionList) {
        let partitions = partitions.clone();
        self.queue(match error {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => Event::Assign(partitions),
            _ => Event::Revoke {
                partitions,
                lost: consumer.assignment_lost(),
            },
        });
    }

    fn commit_callback(&self, result: KafkaResult<()>, offsets: &TopicPartitionList) {
        let result = result.map_err(|error| error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown));
        self.queue(Event::Committed {
            result,
            offsets: offsets.clone(),
        });
    }
}

/// What an administrator has to grant, when that is what is missing.
fn needed_permission(code: RDKafkaErrorCode) -> Option<&'static str> {
    match code {
        RDKafkaErrorCode::GroupAuthorizationFailed => {
            Some("this user needs Read on the group kafka.group_id")
        }
        RDKafkaErrorCode::TopicAuthorizationFailed => {
            Some("this user needs Read and Describe on kafka.topics")
        }
        RDKafkaErrorCode::SaslAuthenticationFailed | RDKafkaErrorCode::Authentication => {
            Some("check sasl.username and sasl.password in kafka.properties")
        }
        _ => None,
    }
}

/// Whether no connection stands, which librdkafka tells about each broker and each attempt.
pub fn is_outage(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::Resolve
        )
    )
}

/// What was told of an outage while it lasts.
#[derive(Debug, Default)]
struct Outage(Mutex<Vec<RDKafkaErrorCode>>);

impl Outage {
    /// Whether nothing of the kind was told yet.
    fn is_news(&self, error: &KafkaError) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let code = error.rdkafka_error_code();
        let is_news = code.is_some_and(|code| !told.contains(&code));
        told.extend(code.filter(|_| is_news));
        is_news
    }

    /// Whether there was any.
    fn end(&self) -> bool {
        !std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).is_empty()
    }
}

/// The context of a client that only asks: keeps the last error, so that whoever gives up can say why.
#[derive(Debug, Default)]
pub struct Quiet {
    last: Mutex<Option<(Option<RDKafkaErrorCode>, String)>>,
}

impl Quiet {
    /// The last error that librdkafka reported.
    pub fn last_error(&self) -> Option<String> {
        self.last().map(|(_, reason)| reason)
    }

    /// Why the broker refuses the user, if that was the last error.
    pub fn refusal(&self) -> Option<String> {
        self.last()
            .filter(|(code, _)| *code == Some(RDKafkaErrorCode::Authentication))
            .map(|(_, reason)| reason)
    }

    fn last(&self) -> Option<(Option<RDKafkaErrorCode>, String)> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ClientContext for Quiet {
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(facility, "librdkafka: {message}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, "Kafka: {reason}");
        // That all brokers are down says less than why the last of them is.
        let code = error.rdkafka_error_code();
        if code != Some(RDKafkaErrorCode::AllBrokersDown) {
            *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((code, reason.to_owned()));
        }
    }
}

impl ConsumerContext for Quiet {}

/// The part of librdkafka's statistics that is read
/// (<https://github.com/confluentinc/librdkafka/blob/master/STATISTICS.md>).
#[derive(Deserialize)]
struct Statistics<'a> {
    #[serde(borrow)]
    brokers: std::collections::HashMap<std::borrow::Cow<'a, str>, BrokerStatistics<'a>>,
}

#[derive(Deserialize)]
struct BrokerStatistics<'a> {
    nodeid: i64,
    #[serde(borrow)]
    state: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    source: std::borrow::Cow<'a, str>,
}

impl Statistics<'_> {
    /// Brokers by their id: addresses from the configuration and the group coordinator come again under it.
    fn brokers_up(&self) -> i64 {
        let up = self
            .brokers
            .values()
            .filter(|broker| broker.nodeid >= 0 && broker.state == "UP")
            .count();
        i64::try_from(up).unwrap_or(i64::MAX)
    }

    /// Whether there is any broker to connect to: the group coordinator is one of them under another name.
    fn has_brokers(&self) -> bool {
        self.brokers
            .values()
            .any(|broker| broker.source == "configured" || broker.source == "learned")
    }
}

/// Passes a log line of librdkafka on. Failed connections are told by the error callback, once in a while; the lines
/// about each attempt are for debugging.
pub fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        _ if facility == "FAIL" => tracing::debug!(facility, "librdkafka: {message}"),
        RDKafkaLogLevel::Emerg
        | RDKafkaLogLevel::Alert
        | RDKafkaLogLevel::Critical
        | RDKafkaLogLevel::Error
        | RDKafkaLogLevel::Warning => tracing::warn!(facility, "librdkafka: {message}"),
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
            tracing::info!(facility, "librdkafka: {message}");
        }
        RDKafkaLogLevel::Debug => tracing::debug!(facility, "librdkafka: {message}"),
    }
}

/// The value of the label `error`: librdkafka's name of the code.
pub fn error_label(error: &KafkaError) -> String {
    error
        .rdkafka_error_code()
        .map_or_else(|| "other".to_owned(), |code| format!("{code:?}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn statistics(json: &[u8]) -> Statistics<'_> {
        serde_json::from_slice(json).unwrap()
    }

    #[test]
    fn brokers_are_counted_once() {
        let all = statistics(
            br#"{"brokers":{"a:1/bootstrap":{"nodeid":-1,"state":"UP","source":"configured"},
            "a:1/1":{"nodeid":1,"state":"UP","source":"learned"},
            "b:1/2":{"nodeid":2,"state":"DOWN","source":"learned"},
            "GroupCoordinator":{"nodeid":-1,"state":"UP","source":"logical"}}}"#,
        );
        assert_eq!(all.brokers_up(), 1);
        assert!(all.has_brokers());
    }

    #[test]
    fn a_coordinator_alone_is_no_broker() {
        let none = statistics(
            br#"{"brokers":{"GroupCoordinator":{"nodeid":-1,"state":"TRY_CONNECT","source":"logical"}}}"#,
        );
        assert!(!none.has_brokers());
        let down = statistics(
            br#"{"brokers":{"a:1/bootstrap":{"nodeid":-1,"state":"DOWN","source":"configured"}}}"#,
        );
        assert!(down.has_brokers());
    }
}
