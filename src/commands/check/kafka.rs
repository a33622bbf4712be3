//! Kafka as `run` will find it: brokers, topics, the right to read them, the group's coordinator, the DLQ.

use std::time::{Duration, Instant};

use backon::BlockingRetryable as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::metadata::Metadata;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::report::Report;
use crate::bridge::{find_topics, missing_text};
use crate::commands::outcome::kafka_exit;
use crate::config::{Config, Kafka};
use crate::derive::Router;
use crate::dlq::topic::{self, partition_count};
use crate::exit::{Exit, Failure};
use crate::source::client::{INTERNAL_TOPICS, reader};
use crate::source::context::Quiet;
use crate::source::topics::Topics;

/// One question may take this long.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(5);
/// How many events of librdkafka's are looked through for a reason.
const EVENTS: usize = 32;
/// How long to wait before the coordinator is asked again.
const PAUSE: Duration = Duration::from_millis(500);

/// Looks at all of it, as far as it gets.
pub async fn check(config: &Config, report: &mut Report) {
    if let Err(failure) = try_all(config, report).await {
        report.failed(&failure);
    }
}

async fn try_all(config: &Config, report: &mut Report) -> Result<(), Failure> {
    let topics = Topics::new(&config.kafka.topics, &config.dlq.topic)
        .map_err(|error| Failure::config(format!("kafka.topics: {error}")))?;
    let metadata = find_topics(&config.kafka, &topics).await?;
    report.ok(format!(
        "{} answers; brokers: {}",
        config.kafka.bootstrap_servers,
        metadata.brokers().len()
    ));
    let named = check_named(config, &topics, &metadata, report);
    let matched = check_expressions(config, &topics, &metadata, report);
    for name in named.iter().chain(&matched) {
        let (kafka, topic) = (config.kafka.clone(), name.clone());
        if let Err(failure) = blocking(move || readable(&kafka, &topic)).await? {
            report.failed(&failure);
        }
    }
    let partitions = all_partitions(&metadata, named.iter().chain(&matched));
    check_group(config, partitions, report).await?;
    check_dlq(config, &metadata, report).await;
    Ok(())
}

/// Those of the named topics that are there.
fn check_named(config: &Config, topics: &Topics, metadata: &Metadata, report: &mut Report) -> Vec<String> {
    let mut found = Vec::new();
    for name in topics.named() {
        match partition_count(metadata, name) {
            Some(partitions) => {
                report.ok(format!("topic {name}; partitions: {partitions}"));
                found.push(name.clone());
            }
            None => report.failed(&Failure::config(missing_text(&config.kafka, name))),
        }
    }
    found
}

/// The topics that only an expression brings in.
fn check_expressions(config: &Config, topics: &Topics, metadata: &Metadata, report: &Report) -> Vec<String> {
    let others: Vec<&str> = metadata
        .topics()
        .iter()
        .map(|topic| topic.name())
        .filter(|name| topics.matches(name) && !INTERNAL_TOPICS.contains(name))
        .collect();
    for expression in topics.expressions() {
        let matches = others.iter().filter(|name| expression.is_match(name)).count();
        report.ok(format!("topics that {expression} matches now: {matches}"));
    }
    let router = Router::compile(&config.kafka.topics, &config.routes).ok();
    let is_routed = |name: &str| {
        router
            .as_ref()
            .is_some_and(|router| router.route_for(name).is_some())
    };
    for name in others.iter().filter(|name| !is_routed(name)) {
        report.note(format!("topic {name} has no route: its records are skipped"));
    }
    let only_matched = others
        .iter()
        .filter(|name| !topics.named().iter().any(|named| named == *name));
    only_matched.map(|name| (*name).to_owned()).collect()
}

fn all_partitions<'a>(metadata: &Metadata, topics: impl Iterator<Item = &'a String>) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for topic in topics {
        for partition in 0..partition_count(metadata, topic).unwrap_or(0) {
            list.add_partition(topic, partition);
        }
    }
    list
}

/// Reads from the end of one partition: metadata and offsets are told to users who may not read.
fn readable(kafka: &Kafka, topic: &str) -> Result<(), Failure> {
    let failure = |error: &KafkaError| {
        let exit = kafka_exit(error);
        Failure::new(
            exit,
            format!("topic {topic} can't be read: {error}{}", advice(exit, "Read")),
        )
    };
    let consumer: BaseConsumer<Quiet> = reader(kafka)
        .set("fetch.wait.max.ms", "10")
        .create_with_context(Quiet::default())
        .map_err(|error| failure(&error))?;
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::End)
        .and_then(|()| consumer.assign(&list))
        .map_err(|error| failure(&error))?;
    let deadline = Instant::now() + QUESTION_TIMEOUT;
    let mut last = KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut);
    while Instant::now() < deadline {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(_) | Err(KafkaError::PartitionEOF(_))) => return Ok(()),
            Some(Err(error)) if is_forbidden(&error) => return Err(failure(&error)),
            Some(Err(error)) => last = error,
            None => {}
        }
    }
    Err(failure(&last))
}

/// Asks the group's coordinator for commits, without joining.
async fn check_group(
    config: &Config,
    partitions: TopicPartitionList,
    report: &mut Report,
) -> Result<(), Failure> {
    let group = config.kafka.group_id.clone();
    if partitions.count() == 0 {
        report.note(format!("group {group} was not asked for: no topic is there yet"));
        return Ok(());
    }
    let kafka = config.kafka.clone();
    let total = partitions.count();
    match blocking(move || commits(&kafka, &partitions)).await? {
        Ok(0) => report.ok(format!(
            "group {group} has no commits: named topics will start at {}",
            config.kafka.start_from
        )),
        Ok(committed) => report.ok(format!(
            "group {group} has committed {committed} of {total} partitions"
        )),
        Err(error) => {
            let exit = kafka_exit(&error);
            let text = format!("group {group}: {error}{}", advice(exit, "Read"));
            report.failed(&Failure::new(exit, text));
        }
    }
    Ok(())
}

/// How many of the partitions have a commit.
fn commits(kafka: &Kafka, partitions: &TopicPartitionList) -> KafkaResult<usize> {
    let consumer: BaseConsumer<Quiet> = reader(kafka).create_with_context(Quiet::default())?;
    let deadline = Instant::now() + QUESTION_TIMEOUT;
    // A coordinator that is still loading, or not chosen yet, answers at once that it is none.
    let list = (|| consumer.committed_offsets(partitions.clone(), QUESTION_TIMEOUT))
        .retry(
            backon::ConstantBuilder::default()
                .with_delay(PAUSE)
                .without_max_times(),
        )
        .when(|error| kafka_exit(error) == Exit::Unavailable && Instant::now() < deadline)
        .call()
        .map_err(|error| refusal(&consumer).unwrap_or(error))?;
    let mut committed = 0;
    for element in list.elements() {
        element.error()?;
        committed += usize::from(matches!(element.offset(), Offset::Offset(_)));
    }
    Ok(committed)
}

/// A coordinator that refuses to serve the user is told as an event; the question itself only times out.
fn refusal(consumer: &BaseConsumer<Quiet>) -> Option<KafkaError> {
    let events = (0..EVENTS).filter_map(|_| consumer.poll(Duration::ZERO));
    events
        .filter_map(Result::err)
        .find(|error| kafka_exit(error) == Exit::Config)
}

async fn check_dlq(config: &Config, metadata: &Metadata, report: &mut Report) {
    let name = &config.dlq.topic;
    if let Some(partitions) = partition_count(metadata, name) {
        return report.ok(format!("dead-letter topic {name}; partitions: {partitions}"));
    }
    match topic::could_create(config).await {
        Ok(()) => report.ok(format!(
            "dead-letter topic {name} does not exist yet; run will create it with {} partitions",
            config.dlq.partitions
        )),
        Err(failure) => report.failed(&failure),
    }
}

/// librdkafka's questions block.
async fn blocking<T: Send + 'static>(question: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    tokio::task::spawn_blocking(question)
        .await
        .map_err(|error| Failure::software(error.to_string()))
}

fn is_forbidden(error: &KafkaError) -> bool {
    error.rdkafka_error_code() == Some(RDKafkaErrorCode::TopicAuthorizationFailed)
}

fn advice(exit: Exit, operation: &str) -> String {
    match exit {
        Exit::Config => format!("; grant this user {operation} on it"),
        _ => "; check that all brokers are up".to_owned(),
    }
}
