//! What holds for every record and every route, whatever is in them.

use std::collections::BTreeMap;

use kafka_redis_bridge::config::Trace;
use kafka_redis_bridge::derive::{
    CommandSink, Derivation, Deriver, Limits, MAX_CHANNEL_BYTES, MAX_DETAIL_BYTES, Options, Route,
};
use kafka_redis_bridge::publish::batch::Batch;
use kafka_redis_bridge::publish::resp::{self, Reply};
use kafka_redis_bridge::record::{NoHeaders, Record};
use serde_json::value::RawValue;

/// A channel, and the notification that goes there, which is JSON.
pub type Command = (String, String);

/// A record with this key and value, and nothing special otherwise.
pub fn record<'a>(key: Option<&'a [u8]>, value: &'a [u8]) -> Record<'a> {
    Record {
        topic: "topic",
        partition: 0,
        offset: 1,
        timestamp_ms: Some(2),
        key,
        value: Some(value),
        headers: &NoHeaders,
    }
}

/// A record that a deriver has seen before: what it leaves in the buffers may show in no other.
const BEFORE: &[u8] = br#"{"id":"\u0022\\","type":"t","source_type":"u","source_id":"before","a":{"b":"\"\\"},"b":[1,"long and open"#;

/// Derives with a deriver that has been used, into a batch that holds something, checks what always holds, and reads the
/// commands back.
pub fn derive(route: &Route, record: &Record<'_>, cap: usize) -> (Derivation, Vec<Command>) {
    let limits = Limits {
        max_notification_bytes: cap,
    };
    let mut deriver = Deriver::new(limits).passing_on(Trace::default().pass_on());
    let mut batch = Batch::default();
    batch.publish(b"before", b"{}");
    let before = Record {
        value: Some(BEFORE),
        ..*record
    };
    let _ = deriver.derive(route, &before, Options::default(), &mut batch);
    let (before, first) = (batch.bytes().to_vec(), batch.commands());
    let derivation = deriver.derive(route, record, Options::default(), &mut batch);
    assert!(batch.bytes().starts_with(&before), "what was there is untouched");
    let commands = read_back(&batch, first);
    match &derivation {
        Derivation::Ready { commands: count } => {
            assert_eq!(usize::from(*count), commands.len());
            assert_eq!(commands.len(), route.channel_count(), "all or none");
        }
        Derivation::Skip(_) => assert!(commands.is_empty()),
        Derivation::Reject(rejection) => {
            assert_eq!(batch.bytes(), before, "all or none");
            assert!(commands.is_empty());
            assert!(rejection.detail.len() <= MAX_DETAIL_BYTES);
        }
    }
    commands.iter().for_each(|command| check_command(command, cap));
    (derivation, commands)
}

/// The commands of a batch from `first` on, as a server would read them.
fn read_back(batch: &Batch, first: usize) -> Vec<Command> {
    let commands = (first..batch.commands()).map(|index| {
        let bytes = &batch.bytes()[batch.start_of(index)..batch.start_of(index + 1)];
        let (command, length) = resp::parse(bytes).unwrap().unwrap();
        assert_eq!(length, bytes.len(), "a command and nothing else");
        let Reply::Array(arguments) = command else {
            panic!("{command:?}")
        };
        let [
            Reply::Text(b"PUBLISH"),
            Reply::Text(channel),
            Reply::Text(payload),
        ] = arguments[..]
        else {
            panic!("{arguments:?}")
        };
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        (text(channel), text(payload))
    });
    commands.collect()
}

fn check_command((channel, payload): &Command, cap: usize) {
    assert!(payload.len() <= cap, "{} bytes, the cap is {cap}", payload.len());
    // Raw, since a number beyond a double is JSON as well.
    let notification: BTreeMap<String, &RawValue> = serde_json::from_str(payload).unwrap();
    for name in ["id", "type", "source_id"] {
        assert!(notification[name].get().starts_with('"'), "{payload}");
    }
    assert!(is_valid_channel(channel), "{channel:?}");
}

/// The rules of a finished channel. Braces are a template's to write, not a value's.
pub fn is_valid_channel(channel: &str) -> bool {
    channel.len() <= MAX_CHANNEL_BYTES
        && !channel.contains(char::is_control)
        && channel.split(':').all(|segment| !segment.is_empty())
}
