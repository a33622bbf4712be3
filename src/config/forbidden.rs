//! librdkafka properties that would undo what the bridge promises. They can't be set; each says why, and what serves
//! instead.

/// Why a property is refused. Aliases stand in one row.
struct Row {
    names: &'static [&'static str],
    why: &'static str,
    instead: &'static str,
}

const COMMITS: &str = "the bridge commits an offset only when the record is settled; committing on its own, \
                       librdkafka would lose records";
const NO_STORE: &str = "offsets are kept in the group alone, where every copy of the bridge finds them";
const DLQ_ACK: &str = "a dead letter counts as written only when all in-sync replicas have it";
const DLQ_ORDER: &str =
    "the producer of dead letters is idempotent, so that retries neither repeat nor reorder them";
const DLQ_WAITS: &str =
    "a dead letter is tried until the broker has acknowledged it, while its partition waits";

const TABLE: &[Row] = &[
    Row {
        names: &["bootstrap.servers", "metadata.broker.list"],
        why: "the brokers have a key of their own",
        instead: "set kafka.bootstrap_servers",
    },
    Row {
        names: &["group.id"],
        why: "the group has a key of its own",
        instead: "set kafka.group_id",
    },
    Row {
        names: &["enable.auto.commit", "auto.commit.enable"],
        why: COMMITS,
        instead: "leave it out; delivery.commit_interval says how often",
    },
    Row {
        names: &["auto.commit.interval.ms"],
        why: COMMITS,
        instead: "set delivery.commit_interval",
    },
    Row {
        names: &["enable.auto.offset.store"],
        why: COMMITS,
        instead: "leave it out",
    },
    Row {
        names: &[
            "offset.store.method",
            "offset.store.path",
            "offset.store.sync.interval.ms",
        ],
        why: NO_STORE,
        instead: "leave it out",
    },
    Row {
        names: &["auto.offset.reset"],
        why: "the bridge decides itself where a partition starts, and never skips to the end after a loss",
        instead: "set kafka.start_from",
    },
    Row {
        names: &["partition.assignment.strategy"],
        why: "partitions move one by one (cooperative-sticky), drained and committed before they go",
        instead: "leave it out; for the broker's own assignors set group.protocol = \"consumer\"",
    },
    Row {
        names: &["isolation.level"],
        why: "it is read_committed: what a transaction took back must not be announced",
        instead: "leave it out",
    },
    Row {
        names: &["enable.partition.eof"],
        why: "the bridge decides which events of the consumer it wants",
        instead: "leave it out; see the metric consumer_lag_records",
    },
    Row {
        names: &["allow.auto.create.topics"],
        why: "the bridge doesn't create the topics it reads; one that is missing is a mistake to be told",
        instead: "create the topic",
    },
    Row {
        names: &["statistics.interval.ms"],
        why: "the bridge decides itself which statistics it needs",
        instead: "leave it out; metrics are served at http.listen",
    },
    Row {
        names: &["acks", "request.required.acks"],
        why: DLQ_ACK,
        instead: "leave it out",
    },
    Row {
        names: &["enable.idempotence"],
        why: DLQ_ORDER,
        instead: "leave it out",
    },
    Row {
        names: &["enable.gapless.guarantee", "queuing.strategy"],
        why: DLQ_ORDER,
        instead: "leave it out",
    },
    Row {
        names: &["max.in.flight", "max.in.flight.requests.per.connection"],
        why: DLQ_ORDER,
        instead: "leave it out",
    },
    Row {
        names: &["transactional.id", "transaction.timeout.ms"],
        why: "dead letters are written without transactions, and a second producer of that id would fence the first",
        instead: "leave it out",
    },
    Row {
        names: &["message.timeout.ms", "delivery.timeout.ms"],
        why: DLQ_WAITS,
        instead: "leave it out; delivery.drain_timeout bounds the wait at the end",
    },
    Row {
        names: &["retries", "message.send.max.retries"],
        why: DLQ_WAITS,
        instead: "leave it out",
    },
    Row {
        names: &["delivery.report.only.error"],
        why: "the bridge waits for the acknowledgement of every dead letter",
        instead: "leave it out",
    },
];

/// With `group.protocol = "consumer"` the broker decides these.
const BROKER_SIDE: [(&str, &str); 3] = [
    ("session.timeout.ms", "group.consumer.session.timeout.ms"),
    ("heartbeat.interval.ms", "group.consumer.heartbeat.interval.ms"),
    ("group.protocol.type", "nothing"),
];

/// Why the property can't be set, and what serves instead.
pub(super) fn reason(property: &str) -> Option<String> {
    let row = TABLE.iter().find(|row| row.names.contains(&property))?;
    Some(format!("can't be set: {}; {}", row.why, row.instead))
}

/// Why the property can't be set together with `group.protocol = "consumer"`.
pub(super) fn reason_in_consumer_protocol(property: &str) -> Option<String> {
    let (_, broker) = BROKER_SIDE.iter().find(|(name, _)| *name == property)?;
    let instead = match *broker {
        "nothing" => "leave it out".to_owned(),
        setting => format!("leave it out, and set {setting} on the broker or the group"),
    };
    Some(format!(
        "can't be set together with group.protocol = \"consumer\", where the broker decides it; {instead}"
    ))
}
