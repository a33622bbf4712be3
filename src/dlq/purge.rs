//! Deletes dead letters: Kafka moves the start of the log (`DeleteRecords`).

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset as KafkaOffset, TopicPartitionList};

use crate::config::Kafka;
use crate::exit::Failure;
use crate::progress::Position;
use crate::source::client::shared;

const TIMEOUT: Duration = Duration::from_secs(30);

/// What became of one partition.
#[derive(Debug)]
pub struct Deleted {
    /// Its number.
    pub partition: i32,
    /// Where its log begins now, or why nothing was deleted.
    pub result: Result<Position, Failure>,
}

/// Deletes what is before these positions.
pub fn delete_before(
    kafka: &Kafka,
    topic: &str,
    positions: &BTreeMap<i32, Position>,
) -> Result<Vec<Deleted>, Failure> {
    let failure = |error: KafkaError| refused(topic, &error);
    let admin: AdminClient<DefaultClientContext> = shared(kafka).create().map_err(failure)?;
    let mut list = TopicPartitionList::with_capacity(positions.len());
    for (partition, position) in positions {
        list.add_partition_offset(topic, *partition, KafkaOffset::Offset(position.0))
            .map_err(failure)?;
    }
    let options = AdminOptions::new()
        .request_timeout(Some(TIMEOUT))
        .operation_timeout(Some(TIMEOUT));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::software(format!("no runtime: {error}")))?;
    let answer = runtime
        .block_on(admin.delete_records(&list, &options))
        .map_err(failure)?;
    let deleted = |element: rdkafka::topic_partition_list::TopicPartitionListElem<'_>| {
        let result = match (element.error(), element.offset()) {
            (Err(error), _) => Err(failure(error)),
            (Ok(()), KafkaOffset::Offset(start)) => Ok(Position(start)),
            (Ok(()), other) => Err(Failure::software(format!("{topic}: Kafka answered {other:?}"))),
        };
        Deleted {
            partition: element.partition(),
            result,
        }
    };
    Ok(answer.elements().into_iter().map(deleted).collect())
}

fn refused(topic: &str, error: &KafkaError) -> Failure {
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::TopicAuthorizationFailed) => Failure::config(format!(
            "{topic}: nothing may be deleted: {error}; grant this user Delete on it"
        )),
        Some(RDKafkaErrorCode::PolicyViolation) => Failure::config(format!(
            "{topic}: nothing can be deleted: {error}; its cleanup.policy has to contain delete"
        )),
        _ => Failure::unavailable(format!("{topic}: {error}")),
    }
}
