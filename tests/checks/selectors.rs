//! Selectors: which are valid, and what they find, worked out another way.

use kafka_redis_bridge::derive::{Derivation, Reason, Route, RouteSpec};
use kafka_redis_bridge::record::Record;
use serde_json::Value;

use super::derive::{derive, is_valid_channel};
use super::judge::judge;

/// Whether it is valid for an extra field, by the documentation's words.
fn is_valid(selector: &str) -> bool {
    let is_pointer = |text: &str| {
        let escapes = text.split('~').skip(1);
        text.starts_with('/') && escapes.into_iter().all(|rest| rest.starts_with(['0', '1']))
    };
    let prefixed = |prefix: &str| selector.strip_prefix(prefix);
    selector.len() <= 256
        && (["key", "topic", "partition", "offset", "timestamp"].contains(&selector)
            || is_pointer(selector)
            || prefixed("key:").is_some_and(is_pointer)
            || prefixed("header:").is_some_and(|name| !name.is_empty())
            || prefixed("literal:").is_some_and(|text| !text.is_empty()))
}

/// What a valid selector finds.
enum Found {
    /// Nothing, null, or what can't be told as text.
    Nothing,
    Value(Value),
    /// The document that it points into isn't one to point into, and the record is a dead letter.
    Dead(Reason),
    /// serde_json can't tell.
    Unknown,
}

fn find(selector: &str, record: &Record<'_>) -> Found {
    let text = |bytes: Option<&[u8]>| match bytes.map(std::str::from_utf8) {
        Some(Ok(text)) => Found::Value(text.into()),
        _ => Found::Nothing,
    };
    match selector {
        "key" => text(record.key),
        "topic" => Found::Value(record.topic.into()),
        "partition" => Found::Value(record.partition.into()),
        "offset" => Found::Value(record.offset.into()),
        "timestamp" => record
            .timestamp_ms
            .map_or(Found::Nothing, |ms| Found::Value(ms.into())),
        _ => match selector.split_once(':') {
            _ if selector.starts_with('/') => point(record.value, selector),
            Some(("key", pointer)) => point(record.key, pointer),
            Some(("header", name)) => text(record.headers.last(name).flatten()),
            Some((_, literal)) => Found::Value(literal.into()),
            None => unreachable!("it is valid"),
        },
    }
}

fn point(document: Option<&[u8]>, pointer: &str) -> Found {
    let Some(document) = document else {
        return Found::Nothing;
    };
    let found = match judge(document) {
        None => return Found::Unknown,
        Some(Err(())) => return Found::Dead(Reason::InvalidJson),
        Some(Ok(value)) => value,
    };
    let first = pointer[1..].split('/').next().unwrap_or_default();
    let is_index =
        first == "0" || !first.starts_with('0') && first.parse::<usize>().is_ok() && !first.starts_with('+');
    if !found.is_object() && !(found.is_array() && is_index) {
        return Found::Dead(Reason::NotAnObject);
    }
    match found.pointer(pointer) {
        None | Some(Value::Null) => Found::Nothing,
        Some(value) => Found::Value(value.clone()),
    }
}

fn route(field: Option<&str>, source_id: &str) -> Option<Route> {
    let text = |text: &str| Some(text.to_owned());
    let spec = RouteSpec {
        id: text("coordinates"),
        r#type: text("literal:t"),
        source_id: text(source_id),
        channels: Some(vec![
            if field.is_some() { "c" } else { "c:{source_id}" }.to_owned(),
        ]),
        fields: field
            .map(|selector| ("f".to_owned(), selector.to_owned()))
            .into_iter()
            .collect(),
        ..RouteSpec::default()
    };
    match Route::compile(&spec) {
        Ok(route) => Some(route),
        Err(problems) => {
            assert!(
                problems
                    .iter()
                    .all(|problem| !problem.key.is_empty() && !problem.message.is_empty())
            );
            None
        }
    }
}

/// A selector is refused, or finds in an extra field what it should.
pub fn finds_as_expected(selector: &str, record: &Record<'_>) {
    let route = route(Some(selector), "topic");
    assert_eq!(route.is_some(), is_valid(selector), "{selector}");
    let Some(route) = route else { return };
    let (derivation, commands) = derive(&route, record, usize::MAX);
    let field = commands.first().map(|(_, payload)| {
        let notification: Value = serde_json::from_str(payload).unwrap();
        notification.get("f").cloned()
    });
    match find(selector, record) {
        Found::Unknown => {}
        Found::Dead(expected) => {
            assert!(
                matches!(&derivation, Derivation::Reject(rejection) if rejection.reason == expected),
                "{derivation:?}"
            );
        }
        Found::Nothing => assert_eq!(field, Some(None), "{derivation:?}"),
        Found::Value(value) => assert_eq!(field, Some(Some(value)), "{derivation:?}"),
    }
}

/// The same in a channel: what is text becomes a part of it, or the record is a dead letter.
pub fn serves_a_channel_as_expected(selector: &str, record: &Record<'_>) {
    let Some(route) = route(None, selector) else {
        return;
    };
    let (derivation, commands) = derive(&route, record, usize::MAX);
    let expected = match find(selector, record) {
        Found::Value(Value::String(text)) => Some(format!("c:{text}")),
        Found::Value(Value::Number(number)) if number.is_i64() || number.is_u64() => {
            Some(format!("c:{number}"))
        }
        Found::Value(Value::Number(_)) | Found::Unknown => return,
        _ => None,
    };
    let expected = expected.filter(|channel| is_valid_channel(channel) && !channel.contains(['{', '}']));
    assert_eq!(
        commands.first().map(|command| command.0.clone()),
        expected,
        "{derivation:?}"
    );
}
