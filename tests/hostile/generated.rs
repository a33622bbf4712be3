//! Malformed records that are too large to be kept as files.

use kafka_redis_bridge::derive::{Derivation, Reason, Route};

use super::checks::derive::{Command, derive, record};

const MIB: usize = 1 << 20;

fn default_envelope(value: &str) -> (Derivation, Vec<Command>) {
    derive(
        &Route::default_envelope().unwrap(),
        &record(None, value.as_bytes()),
        1024,
    )
}

/// An event with these members behind those that it needs.
fn event(more: &str) -> String {
    format!(r#"{{"id":1,"type":"t","source_type":"user","source_id":"u",{more}}}"#)
}

#[track_caller]
fn is_rejected(value: &str, expected: Reason) {
    let (derivation, _) = default_envelope(value);
    assert!(
        matches!(&derivation, Derivation::Reject(rejection) if rejection.reason == expected),
        "{derivation:?}"
    );
}

#[track_caller]
fn is_ready(value: &str) {
    let (derivation, commands) = default_envelope(value);
    assert_eq!(derivation, Derivation::Ready { commands: 1 });
    assert_eq!(commands[0].1, r#"{"id":"1","type":"t","source_id":"u"}"#);
}

#[test]
fn a_mebibyte_of_one_string_is_ignored_where_nobody_wants_it_and_never_published() {
    let long = "x".repeat(MIB);
    is_ready(&event(&format!(r#""note":"{long}""#)));
    is_ready(&event(&format!(r#""{long}":1"#)));
    is_ready(&event(&format!(r#""correlation_id":"{long}""#)));
    is_rejected(&event(&format!(r#""id":"{long}""#)), Reason::NotificationTooLarge);
    is_rejected(
        &event(&format!(r#""source_id":"{long}""#)),
        Reason::InvalidChannel,
    );
    is_rejected(
        &event(&format!(r#""source_id":"{}""#, r"\u0041".repeat(MIB / 6))),
        Reason::InvalidChannel,
    );
    is_rejected(&event(&format!(r#""note":"{long}"#)), Reason::InvalidJson);
}

#[test]
fn a_mebibyte_of_digits_is_a_number() {
    let digits = "7".repeat(MIB);
    is_ready(&event(&format!(r#""n":{digits}"#)));
    is_ready(&event(&format!(r#""n":-0.{digits}e+{digits}"#)));
    is_rejected(&event(&format!(r#""id":{digits}"#)), Reason::NotificationTooLarge);
    is_rejected(&event(&format!(r#""id":{digits}."#)), Reason::InvalidJson);
}

#[test]
fn a_mebibyte_of_brackets_does_not_grow_the_stack() {
    for open in ["[", r#"{"a":"#, r#"[{"a":"#] {
        is_rejected(&open.repeat(MIB / open.len()), Reason::InvalidJson);
        is_rejected(
            &event(&format!(r#""data":{}"#, open.repeat(MIB / open.len()))),
            Reason::InvalidJson,
        );
    }
    is_ready(&event(&format!(r#""data":[{}[]]"#, "[],".repeat(MIB / 3))));
}

#[test]
fn a_hundred_thousand_members_are_read_and_of_equal_ones_the_last_counts() {
    let members: Vec<String> = (0..100_000).map(|n| format!(r#""m{n}":{n},"id":{n}"#)).collect();
    is_ready(&event(&format!(r#"{},"id":1"#, members.join(","))));
}

#[test]
fn a_mebibyte_of_white_space_is_nothing() {
    let space = " \t\r\n".repeat(MIB / 4);
    is_ready(&format!("{space}{}{space}", event(&format!(r#""a":{space}1"#))));
    is_rejected(&space, Reason::InvalidJson);
}

#[test]
fn a_mebibyte_of_nothing_but_one_byte_is_a_dead_letter() {
    let route = Route::default_envelope().unwrap();
    for byte in 0..=u8::MAX {
        let value = vec![byte; MIB / 16];
        let (derivation, _) = derive(&route, &record(None, &value), 1024);
        // Digits make a number: JSON, but no object.
        let expected = if (b'1'..=b'9').contains(&byte) {
            Reason::NotAnObject
        } else {
            Reason::InvalidJson
        };
        assert!(
            matches!(&derivation, Derivation::Reject(rejection) if rejection.reason == expected),
            "{byte}: {derivation:?}"
        );
    }
}
