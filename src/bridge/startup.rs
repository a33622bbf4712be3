//! What must hold before the group is joined: Kafka answers, named topics exist, dead letters have a place.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use backon::BackoffBuilder;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaResult;
use rdkafka::metadata::Metadata;
use tokio::time::Instant;

use crate::config::{Config, Kafka, format_duration};
use crate::dlq::topic::{self, DlqTopic};
use crate::exit::Failure;
use crate::source::client::groupless;
use crate::source::context::Quiet;
use crate::source::topics::Topics;

/// One question for metadata may take this long.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(5);
/// How many events of librdkafka's are served after a question.
const EVENTS: usize = 32;
/// A topic created a moment ago may be unknown to some brokers still.
const TOPIC_PROPAGATION: Duration = Duration::from_secs(3);

/// What was found at the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The dead-letter topic.
    pub dlq: DlqTopic,
    /// Topics that `kafka.topics` names or matches.
    pub topics: HashSet<String>,
}

/// Waits for Kafka, at most `kafka.startup_timeout`: 69 when it can't be reached, 78 when a named topic isn't there.
pub async fn wait_for_kafka(config: &Config, topics: &Topics) -> Result<Found, Failure> {
    let metadata = find_topics(&config.kafka, topics).await?;
    match missing(&metadata, topics) {
        None => {
            let dlq = topic::ensure(config, &metadata).await?;
            let names = metadata.topics().iter().map(|topic| topic.name());
            let topics = names
                .filter(|name| topics.matches(name))
                .map(str::to_owned)
                .collect();
            Ok(Found { dlq, topics })
        }
        Some(name) => Err(Failure::config(missing_text(&config.kafka, name))),
    }
}

/// Waits until Kafka answers and the named topics are there. A topic that still isn't there a while after Kafka's
/// first answer is left to the caller to find missing.
pub async fn find_topics(kafka: &Kafka, topics: &Topics) -> Result<Metadata, Failure> {
    let deadline = Instant::now() + kafka.startup_timeout;
    let client: BaseConsumer<Quiet> = groupless(kafka)
        .create_with_context(Quiet::default())
        .map_err(|error| Failure::config(format!("kafka.properties: {error}")))?;
    let client = Arc::new(client);
    let mut delays = backon::ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_secs(1))
        .without_max_times()
        .build();
    let mut missing_since = None;
    loop {
        match ask(&client, deadline).await? {
            Ok(metadata) => {
                if missing(&metadata, topics).is_none() {
                    return Ok(metadata);
                }
                let since = *missing_since.get_or_insert_with(Instant::now);
                if since.elapsed() >= TOPIC_PROPAGATION || Instant::now() >= deadline {
                    return Ok(metadata);
                }
            }
            Err(error) => {
                if let Some(reason) = client.context().refusal() {
                    return Err(Failure::config(refused_text(kafka, &reason)));
                }
                if Instant::now() >= deadline {
                    let reason = client.context().last_error().unwrap_or_else(|| error.to_string());
                    return Err(Failure::unavailable(unreachable_text(kafka, &reason)));
                }
                tracing::debug!(%error, "Kafka does not answer yet");
            }
        }
        tokio::time::sleep(delays.next().unwrap_or(QUESTION_TIMEOUT)).await;
    }
}

/// Asks for all topics, and serves librdkafka's events, which tell why it can't connect.
async fn ask(client: &Arc<BaseConsumer<Quiet>>, deadline: Instant) -> Result<KafkaResult<Metadata>, Failure> {
    let client = Arc::clone(client);
    let timeout = QUESTION_TIMEOUT.min(deadline.saturating_duration_since(Instant::now()));
    tokio::task::spawn_blocking(move || {
        let answer = client.fetch_metadata(None, timeout);
        // Each poll serves one.
        for _ in 0..EVENTS {
            client.poll(Duration::ZERO);
        }
        answer
    })
    .await
    .map_err(|error| Failure::software(error.to_string()))
}

fn missing<'a>(metadata: &Metadata, topics: &'a Topics) -> Option<&'a str> {
    topics
        .named()
        .iter()
        .map(String::as_str)
        .find(|name| topic::partition_count(metadata, name).is_none())
}

/// What is said of a named topic that isn't there.
pub fn missing_text(kafka: &Kafka, name: &str) -> String {
    format!(
        "kafka.topics: {name} does not exist on {}, or this user may not Describe it; create it, correct the name, or \
         use an expression that starts with ^ for topics that come later",
        kafka.bootstrap_servers
    )
}

fn unreachable_text(kafka: &Kafka, reason: &str) -> String {
    format!(
        "kafka.bootstrap_servers: {} could not be reached within {} (kafka.startup_timeout): {reason}; check the \
         address and kafka.properties",
        kafka.bootstrap_servers,
        format_duration(kafka.startup_timeout)
    )
}

fn refused_text(kafka: &Kafka, reason: &str) -> String {
    format!(
        "kafka.properties: {} refuses this user: {reason}; check sasl.username, sasl.password and sasl.mechanisms",
        kafka.bootstrap_servers
    )
}
