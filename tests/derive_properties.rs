//! Derivation against arbitrary input, with serde_json as the judge of what is JSON.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "checks"]
mod checks {
    pub mod derive;
    pub mod json;
    pub mod judge;
}

use checks::derive::{Command, derive, record};
use checks::json::{enveloped_the_same, judged_the_same, undemanding_route};
use kafka_redis_bridge::derive::{Derivation, Reason, Route, RouteSpec};
use kafka_redis_bridge::record::Record;
use proptest::prelude::*;
use serde_json::{Value, json};

fn default_route() -> Route {
    Route::default_envelope().unwrap()
}

fn notification((_, payload): &Command) -> Value {
    serde_json::from_str(payload).unwrap()
}

/// Any JSON value, with names that the routes look for.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    let name = prop_oneof![Just("a".to_owned()), Just("b".to_owned()), any::<String>()];
    leaf.prop_recursive(6, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((name.clone(), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Text without control characters, braces and colons, so that it is valid in a channel.
fn plain_text() -> impl Strategy<Value = String> {
    any::<String>()
        .prop_map(|text| text.replace(|c: char| c.is_control() || "{}:".contains(c), "_"))
        .prop_filter("not empty, and short", |text| {
            !text.is_empty() && text.len() <= 200
        })
}

/// JSON with every character escaped that can be.
fn fully_escaped(text: &str) -> String {
    let units: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
    format!("\"{units}\"")
}

/// Texts near JSON: a valid one with some bytes replaced, put in or taken away.
fn near_json() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        prop::sample::select(&b"{}[]:,\"\\u0eE+-. \ntfn/\x00\x1f\x7f\xc3\xff"[..]),
        any::<u8>()
    ];
    let edits = prop::collection::vec((any::<prop::sample::Index>(), 0..3u8, byte), 0..4);
    (any_json(), any::<bool>(), edits).prop_map(|(value, pretty, edits)| {
        let text = if pretty {
            serde_json::to_vec_pretty(&value)
        } else {
            serde_json::to_vec(&value)
        };
        let mut bytes = text.unwrap();
        for (index, kind, byte) in edits {
            let at = index.index(bytes.len() + 1);
            match (kind, at < bytes.len()) {
                (0, true) => bytes[at] = byte,
                (1, true) => drop(bytes.remove(at)),
                _ => bytes.insert(at, byte),
            }
        }
        bytes
    })
}

/// Pads `text`, which starts with a brace, so that the rest of it starts at every place of a block of the scanner.
fn at_every_alignment(text: &str, mut check: impl FnMut(&[u8])) {
    for spaces in 0..=130 {
        check(format!("{{{}{}", " ".repeat(spaces), &text[1..]).as_bytes());
    }
}

#[test]
fn quotes_and_escapes_are_judged_alike_wherever_they_are() {
    let plain = [
        r#"""#, r"\", r#"\""#, r"\\", r#"\\""#, r#"\\\""#, r"\\\\n", "\n", "é", "\u{7f}",
    ];
    let escaped = [r"\u0041", r"\u00", r"\u004g", r"\x", "\\\n", r"\é"];
    for odd in plain.into_iter().chain(escaped) {
        at_every_alignment(&format!(r#"{{"a":"{odd}","{odd}":1}}"#), judged_the_same);
        at_every_alignment(&format!(r#"{{"a":"b{odd}"#), judged_the_same);
    }
}

#[test]
fn backslashes_in_a_row_escape_each_other_however_many_they_are() {
    for count in 0..=200 {
        let backslashes = r"\".repeat(count);
        judged_the_same(format!(r#"{{"a":"{backslashes}"}}"#).as_bytes());
        judged_the_same(format!(r#"{{"a":"{backslashes}\","b":[1,"{backslashes}n"]}}"#).as_bytes());
    }
}

#[test]
fn every_beginning_of_a_document_is_judged_as_by_serde_json() {
    let document = concat!(
        r#" {"a":{"b":[1,-2.5e+3,"\ud83d\ude00\\"]},"0":[{"a":true}],"b":[null,{"long":"#,
        r#""0123456789 0123456789 0123456789 0123456789 0123456789 é \" 0123456789"}],"":""} "#
    );
    (0..=document.len()).for_each(|end| judged_the_same(&document.as_bytes()[..end]));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(key in any::<Option<Vec<u8>>>(), value in any::<Vec<u8>>(), cap in 0..2048usize) {
        for route in [default_route(), undemanding_route()] {
            let _ = derive(&route, &record(key.as_deref(), &value), cap);
        }
    }

    #[test]
    fn what_is_json_is_judged_as_by_serde_json(bytes in near_json()) {
        judged_the_same(&bytes);
        enveloped_the_same(&bytes, 1024);
    }

    #[test]
    fn what_pointers_find_is_what_serde_json_finds(value in any_json()) {
        judged_the_same(&serde_json::to_vec(&value).unwrap());
    }

    #[test]
    fn a_valid_envelope_is_ready_and_reads_back_the_same(
        id in plain_text(),
        kind in plain_text(),
        source_type in plain_text(),
        source_id in plain_text(),
        body in any_json(),
        escape in any::<bool>(),
    ) {
        let string = |text: &str| if escape { fully_escaped(text) } else { json!(text).to_string() };
        let value = format!(
            r#"{{"body":{body},"source_id":{},"id":{},"type":{},"source_type":{}}}"#,
            string(&source_id), string(&id), string(&kind), string(&source_type),
        );
        let (derivation, commands) = derive(&default_route(), &record(None, value.as_bytes()), 8192);
        prop_assert_eq!(derivation, Derivation::Ready { commands: 1 });
        prop_assert_eq!(&commands[0].0, &format!("events:{source_type}:{source_id}"));
        prop_assert_eq!(notification(&commands[0]), json!({"id": id, "type": kind, "source_id": source_id}));
    }

    #[test]
    fn any_key_reads_back_the_same_from_the_notification(key in any::<String>()) {
        let route = Route::compile(&RouteSpec {
            id: Some("key".to_owned()),
            r#type: Some("topic".to_owned()),
            source_id: Some("topic".to_owned()),
            channels: Some(vec!["c".to_owned()]),
            ..RouteSpec::default()
        })
        .unwrap();
        let (_, commands) = derive(&route, &record(Some(key.as_bytes()), b"\xff"), 8192);
        if key.is_empty() {
            prop_assert!(commands.is_empty());
        } else {
            prop_assert_eq!(&notification(&commands[0])["id"], &json!(key));
        }
    }

    #[test]
    fn a_channel_is_valid_or_the_record_is_rejected(source_id in any::<String>()) {
        let value = json!({"id": 1, "type": "t", "source_type": "u", "source_id": source_id}).to_string();
        let (derivation, commands) = derive(&default_route(), &record(None, value.as_bytes()), 1024);
        let bad = source_id.contains(|c: char| c.is_control() || c == '{' || c == '}')
            || source_id.split(':').any(str::is_empty);
        prop_assert_eq!(commands.is_empty(), bad, "{:?}", derivation);
    }

    #[test]
    fn integers_of_any_length_keep_their_digits(digits in "-?(0|[1-9][0-9]{0,60})") {
        let value = format!(r#"{{"id":{digits},"type":{digits},"source_type":"u","source_id":{digits}}}"#);
        let (_, commands) = derive(&default_route(), &record(None, value.as_bytes()), 1024);
        prop_assert_eq!(&commands[0].0, &format!("events:u:{digits}"));
        prop_assert_eq!(notification(&commands[0]), json!({"id": digits, "type": digits, "source_id": digits}));
    }

    #[test]
    fn whatever_headers_say_about_a_trace_the_notification_is_json_within_its_cap(
        traceparent in prop_oneof!["[0-9a-f-]{53,57}", "00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]", ".{0,60}"],
        tracestate in prop_oneof![".{0,600}", "[a-z0-9=,\"]{0,600}"],
        correlation_id in prop::collection::vec(any::<u8>(), 0..200),
        cap in 64..1200usize,
    ) {
        let header = |name: &str, value: &[u8]| (name.to_owned(), Some(value.to_vec()));
        let headers = vec![
            header("traceparent", traceparent.as_bytes()),
            header("tracestate", tracestate.as_bytes()),
            header("correlation_id", &correlation_id),
        ];
        let value = br#"{"id":1,"type":"t","source_type":"u","source_id":"s"}"#;
        let record = Record { headers: &headers, ..record(None, value) };
        let (derivation, commands) = derive(&default_route(), &record, cap);
        prop_assert_eq!(derivation, Derivation::Ready { commands: 1 });
        let notification = notification(&commands[0]);
        if let Some(parent) = notification.get("traceparent") {
            prop_assert_eq!(parent.as_str().unwrap().len(), 55);
        } else {
            prop_assert_eq!(notification.get("tracestate"), None);
        }
        if let Some(id) = notification.get("correlation_id") {
            prop_assert_eq!(id.as_str().unwrap().as_bytes(), &correlation_id);
        }
    }

    #[test]
    fn nesting_of_any_depth_is_safe(depth in 0..100_000usize, close in any::<bool>(), open in 0..3usize) {
        let (open, end) = [("[", "]"), (r#"{"a":"#, "}"), (r#"{"a":{"b":["#, "]}}")][open];
        let value = format!("{}1{}", open.repeat(depth), if close { end.repeat(depth) } else { String::new() });
        let (derivation, _) = derive(&undemanding_route(), &record(None, value.as_bytes()), 1024);
        if depth > 128 || (depth > 0 && !close) {
            let reason = Reason::InvalidJson;
            prop_assert!(matches!(derivation, Derivation::Reject(rejection) if rejection.reason == reason));
        }
    }
}
