//! Kafka clients: the users' settings first, what delivery depends on last, so that nothing can undo it.

use std::ffi::CString;
use std::sync::Arc;

use rdkafka::bindings as sys;
use rdkafka::client::{Client, ClientContext};
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaRespErr;

use super::context::Context;
use crate::config::Kafka;

/// The consumer of the group.
pub type Consumer = BaseConsumer<Context>;

/// Topics that Kafka keeps for itself.
pub const INTERNAL_TOPICS: [&str; 4] = [
    "__consumer_offsets",
    "__transaction_state",
    "__share_group_state",
    "__cluster_metadata",
];

/// How often librdkafka reports statistics; only the brokers' states are read.
const STATISTICS_INTERVAL_MS: &str = "10000";

/// How often a broker that is away is tried again at least, unless the user says otherwise. With librdkafka's ten seconds a
/// broker that is back could be found later than the group's session lasts.
const RECONNECT_BACKOFF_MAX_MS: &str = "2000";

/// What every client needs: the address, security and network.
pub fn shared(kafka: &Kafka) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("reconnect.backoff.max.ms", RECONNECT_BACKOFF_MAX_MS);
    for (name, value) in kafka
        .properties
        .expose()
        .filter(|(name, _)| !is_consumer_only(name))
    {
        config.set(name, value);
    }
    config
        .set("bootstrap.servers", &kafka.bootstrap_servers)
        .set("socket.keepalive.enable", "true")
        .set_log_level(RDKafkaLogLevel::Info);
    if kafka.properties.get("client.id").is_none() {
        config.set("client.id", "kafka-redis-bridge");
    }
    config
}

/// Properties that another kind of client would warn about.
fn is_consumer_only(name: &str) -> bool {
    const NAMES: [&str; 6] = [
        "session.timeout.ms",
        "heartbeat.interval.ms",
        "max.poll.interval.ms",
        "max.partition.fetch.bytes",
        "check.crcs",
        "coordinator.query.interval.ms",
    ];
    const PREFIXES: [&str; 3] = ["group.", "fetch.", "queued."];
    NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// A consumer that belongs to no group: for questions, and for reading a range.
pub fn groupless(kafka: &Kafka) -> ClientConfig {
    let mut config = shared(kafka);
    config
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false");
    config
}

/// A consumer that reads what it is assigned, up to the end of each partition. librdkafka wants a group's name for
/// that; nothing is joined and nothing committed under it.
pub fn reader(kafka: &Kafka) -> ClientConfig {
    let mut config = groupless(kafka);
    config
        .set("group.id", &kafka.group_id)
        .set("enable.auto.offset.store", "false")
        // What is deleted before it is read is passed over, and nothing else.
        .set("auto.offset.reset", "earliest")
        .set("enable.partition.eof", "true");
    config
}

/// The settings of the group's consumer; `dlq` is the dead-letter topic.
pub fn grouped(kafka: &Kafka, dlq: &str) -> ClientConfig {
    let mut config = shared(kafka);
    // Defaults of this service; users may change them. librdkafka's own prefetch takes a quarter of a gigabyte under
    // a backlog of twelve partitions; this takes a third of that and is as fast.
    config
        .set("fetch.queue.backoff.ms", "5")
        .set("max.partition.fetch.bytes", "262144")
        .set("queued.min.messages", "10000")
        .set("queued.max.messages.kbytes", "16384")
        .set("topic.metadata.refresh.interval.ms", "30000");
    for (name, value) in kafka.properties.expose() {
        config.set(name, value);
    }
    // What delivery depends on comes last.
    config
        .set("group.id", &kafka.group_id)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        // Every partition starts at a position that was committed before; only a commit that retention has
        // overtaken, or a topic that was made anew, comes to this.
        .set("auto.offset.reset", "earliest")
        .set("isolation.level", "read_committed")
        .set("allow.auto.create.topics", "false")
        .set("topic.blacklist", never_consumed(dlq))
        .set("statistics.interval.ms", STATISTICS_INTERVAL_MS);
    if kafka.properties.get("group.protocol") != Some("consumer") {
        config.set("partition.assignment.strategy", "cooperative-sticky");
    }
    config
}

/// Topics that no expression in `kafka.topics` ever brings in: the dead-letter topic and Kafka's internal ones.
fn never_consumed(dlq: &str) -> String {
    // Of what a topic's name may contain, only the dot means something in an expression.
    INTERNAL_TOPICS
        .iter()
        .chain([&dlq])
        .map(|name| format!("^{}$", name.replace('.', "\\.")))
        .collect::<Vec<_>>()
        .join(",")
}

/// Creates the group's consumer; it joins when it subscribes.
pub fn consumer(kafka: &Kafka, context: Context, dlq: &str) -> KafkaResult<Arc<Consumer>> {
    let consumer: Consumer = grouped(kafka, dlq).create_with_context(context)?;
    Ok(Arc::new(consumer))
}

/// Names the brokers of the configuration to a client that may know none any more.
///
/// A broker that its controller has fenced is in no metadata, and librdkafka forgets it. With the last one it means to
/// start again at `bootstrap.servers` (KIP-899), but up to 2.12 the same answer may stop the timer that would do it,
/// and nothing starts it again. librdkafka keeps each list that it is given, so this is for clients in need only.
pub fn bootstrap<C: ClientContext>(client: &Client<C>, servers: &str) {
    let Ok(servers) = CString::new(servers) else {
        return;
    };
    // SAFETY: the client is alive, and librdkafka copies the text.
    unsafe { sys::rd_kafka_brokers_add(client.native_ptr(), servers.as_ptr()) };
}

/// Sends a commit and returns; the answer, with an error for each partition, comes as [`Event::Committed`].
///
/// rdkafka's own asynchronous commit asks librdkafka for no answer: librdkafka only gives one to a callback in the
/// configuration, which rdkafka's event interface doesn't set, or on a queue that the caller names.
pub fn commit(consumer: &Consumer, offsets: &TopicPartitionList) -> KafkaResult<()> {
    let client = consumer.client().native_ptr();
    // SAFETY: the client lives as long as `consumer`. librdkafka copies the list and takes its own reference to the
    // queue, so both may go when the call returns.
    let code = unsafe {
        let queue = sys::rd_kafka_queue_get_consumer(client);
        if queue.is_null() {
            return Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::UnknownGroup));
        }
        let code = sys::rd_kafka_commit_queue(client, offsets.ptr(), queue, None, std::ptr::null_mut());
        sys::rd_kafka_queue_destroy(queue);
        code
    };
    match code {
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(()),
        code => Err(KafkaError::ConsumerCommit(code.into())),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn kafka() -> Kafka {
        Kafka {
            bootstrap_servers: "localhost:9092".into(),
            topics: vec!["a".into()],
            ..Kafka::default()
        }
    }

    #[test]
    fn delivery_critical_settings_are_what_delivery_needs() {
        let config = grouped(&kafka(), "g.dlq");
        for (name, value) in [
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("auto.offset.reset", "earliest"),
            ("isolation.level", "read_committed"),
            ("partition.assignment.strategy", "cooperative-sticky"),
            ("group.id", "kafka-redis-bridge"),
        ] {
            assert_eq!(config.get(name), Some(value), "{name}");
        }
        config.create_native_config().unwrap();
    }
}
