//! What JSON has to become, worked out from what serde_json reads: behind pointers, and in the default envelope.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use kafka_redis_bridge::derive::{Derivation, Reason, Route, RouteSpec};
use serde_json::Value;
use serde_json::value::RawValue;

use super::derive::{derive, is_valid_channel, record};
use super::judge::judge;

/// What the undemanding route passes on: extra fields and their pointers.
const FIELDS: [(&str, &str); 4] = [("a", "/a"), ("b", "/a/b"), ("c", "/0/a"), ("d", "/b/1")];

/// A route without demands of its own, so that only the JSON itself can be at fault.
pub fn undemanding_route() -> Route {
    let text = |text: &str| Some(text.to_owned());
    Route::compile(&RouteSpec {
        id: text("coordinates"),
        r#type: text("literal:t"),
        source_id: text("topic"),
        channels: Some(vec!["c".to_owned()]),
        fields: FIELDS
            .map(|(name, selector)| (name.to_owned(), selector.to_owned()))
            .into(),
        ..RouteSpec::default()
    })
    .unwrap()
}

/// The verdict is serde_json's, and so is what the pointers find.
pub fn judged_the_same(bytes: &[u8]) {
    static ROUTE: LazyLock<Route> = LazyLock::new(undemanding_route);
    let (derivation, commands) = derive(&ROUTE, &record(None, bytes), usize::MAX);
    let reason = match derivation {
        Derivation::Reject(rejection) => Some(rejection.reason),
        _ => None,
    };
    let shown = String::from_utf8_lossy(bytes);
    match judge(bytes) {
        None => {}
        Some(Err(())) => assert_eq!(reason, Some(Reason::InvalidJson), "{shown}"),
        Some(Ok(value)) if !value.is_object() && !value.is_array() => {
            assert_eq!(reason, Some(Reason::NotAnObject), "{shown}");
        }
        Some(Ok(value)) => {
            let mut expected = serde_json::json!({"id": "topic-0-1", "type": "t", "source_id": "topic"});
            for (field, pointer) in FIELDS {
                if let Some(found) = value.pointer(pointer).filter(|found| !found.is_null()) {
                    expected[field] = found.clone();
                }
            }
            let notification: Value = serde_json::from_str(&commands[0].1).unwrap();
            assert_eq!(notification, expected, "{shown}");
        }
    }
}

/// The default envelope's channel and notification, byte for byte, or its reason.
pub fn enveloped_the_same(bytes: &[u8], cap: usize) {
    static ROUTE: LazyLock<Route> = LazyLock::new(|| Route::default_envelope().unwrap());
    let (derivation, commands) = derive(&ROUTE, &record(None, bytes), cap);
    let outcome = match derivation {
        Derivation::Reject(rejection) => Err(rejection.reason),
        _ => Ok(commands[0].clone()),
    };
    if let Some(expected) = expected(bytes, cap) {
        assert_eq!(outcome, expected, "{}", String::from_utf8_lossy(bytes));
    }
}

type Members<'a> = BTreeMap<String, &'a RawValue>;
type Outcome = Result<(String, String), Reason>;

fn expected(bytes: &[u8], cap: usize) -> Option<Outcome> {
    Some(match judge(bytes)? {
        Err(()) => Err(Reason::InvalidJson),
        Ok(value) if !value.is_object() => Err(Reason::NotAnObject),
        Ok(_) => enveloped(&serde_json::from_slice(bytes).unwrap(), cap),
    })
}

fn enveloped(members: &Members<'_>, cap: usize) -> Outcome {
    let raw = |name: &str| members.get(name).map_or("null", |value| value.get());
    let [id, kind, source_type, source_id] =
        ["id", "type", "source_type", "source_id"].map(|name| text(raw(name)));
    let (id, kind, source_type, source_id) = (id?, kind?, source_type?, source_id?);
    let channel = format!("events:{}:{}", source_type.0, source_id.0);
    if !is_valid_channel(&channel) || channel.contains(['{', '}']) {
        return Err(Reason::InvalidChannel);
    }
    let mut notification = format!(
        r#"{{"id":{},"type":{},"source_id":{}}}"#,
        id.1, kind.1, source_id.1
    );
    if notification.len() > cap {
        return Err(Reason::NotificationTooLarge);
    }
    for name in ["occurred_at", "correlation_id"] {
        let field = format!(r#","{name}":{}}}"#, raw(name));
        if raw(name) != "null" && notification.len() - 1 + field.len() <= cap {
            notification.pop();
            notification.push_str(&field);
        }
    }
    Ok((channel, notification))
}

/// What a value of the envelope says, and how it is written in the notification.
fn text(raw: &str) -> Result<(String, String), Reason> {
    match raw.as_bytes()[0] {
        b'n' => Err(Reason::MissingField),
        b'"' => match serde_json::from_str::<String>(raw).unwrap() {
            text if text.is_empty() => Err(Reason::MissingField),
            text => Ok((text, raw.to_owned())),
        },
        b'-' | b'0'..=b'9' if !raw.contains(['.', 'e', 'E']) => Ok((raw.to_owned(), format!("\"{raw}\""))),
        _ => Err(Reason::WrongType),
    }
}
