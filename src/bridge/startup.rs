//! What must hold before the group is joined: Kafka answers, named topics exist, dead letters have a place.

use std::time::Duration;

use backon::BackoffBuilder;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::metadata::Metadata;
use tokio::time::Instant;

use crate::config::{Config, format_duration};
use crate::dlq::topic::{self, DlqTopic};
use crate::exit::Failure;
use crate::source::client::{Quiet, groupless};
use crate::source::resolve::Topics;

/// One question for metadata may take this long.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(5);
/// A topic created a moment ago may be unknown to some brokers still.
const TOPIC_PROPAGATION: Duration = Duration::from_secs(3);

/// Waits for Kafka, at most `kafka.startup_timeout`: 69 when it can't be reached, 78 when a named topic isn't there.
pub async fn wait_for_kafka(config: &Config, topics: &Topics) -> Result<DlqTopic, Failure> {
    let deadline = Instant::now() + config.kafka.startup_timeout;
    let client: BaseConsumer<Quiet> = groupless(&config.kafka)
        .create_with_context(Quiet::default())
        .map_err(|error| Failure::config(format!("kafka.properties: {error}")))?;
    let client = std::sync::Arc::new(client);
    let mut delays = backon::ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_secs(1))
        .without_max_times()
        .build();
    let mut missing_since = None;
    loop {
        let asked = std::sync::Arc::clone(&client);
        let timeout = QUESTION_TIMEOUT.min(deadline.saturating_duration_since(Instant::now()));
        let answer = tokio::task::spawn_blocking(move || {
            // Serves librdkafka's events, which tell why it can't connect.
            asked.poll(Duration::ZERO);
            asked.fetch_metadata(None, timeout)
        })
        .await
        .map_err(|error| Failure::software(error.to_string()))?;
        match answer {
            Ok(metadata) => match missing(&metadata, topics) {
                None => return topic::ensure(config, &metadata).await,
                Some(name) => {
                    let since = *missing_since.get_or_insert_with(Instant::now);
                    if since.elapsed() >= TOPIC_PROPAGATION || Instant::now() >= deadline {
                        return Err(Failure::config(missing_text(config, name)));
                    }
                }
            },
            Err(error) if Instant::now() >= deadline => {
                return Err(Failure::unavailable(unreachable_text(
                    config,
                    &client,
                    &error.to_string(),
                )));
            }
            Err(error) => tracing::debug!(%error, "Kafka does not answer yet"),
        }
        tokio::time::sleep(delays.next().unwrap_or(QUESTION_TIMEOUT)).await;
    }
}

fn missing<'a>(metadata: &Metadata, topics: &'a Topics) -> Option<&'a str> {
    topics
        .named()
        .iter()
        .map(String::as_str)
        .find(|name| topic::partition_count(metadata, name).is_none())
}

fn missing_text(config: &Config, name: &str) -> String {
    format!(
        "kafka.topics: {name} does not exist on {}, or this user may not Describe it; create it, correct the name, or \
         use an expression that starts with ^ for topics that come later",
        config.kafka.bootstrap_servers
    )
}

fn unreachable_text(config: &Config, client: &BaseConsumer<Quiet>, error: &str) -> String {
    client.poll(Duration::ZERO);
    let reason = client.context().last_error().unwrap_or_else(|| error.to_owned());
    format!(
        "kafka.bootstrap_servers: {} could not be reached within {} (kafka.startup_timeout): {reason}; check the \
         address and kafka.properties",
        config.kafka.bootstrap_servers,
        format_duration(config.kafka.startup_timeout)
    )
}
