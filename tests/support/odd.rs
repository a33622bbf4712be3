//! Records of every odd kind, and where each of them ends.

use super::producer::NewRecord;

/// Where a record ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Heard with this id.
    Heard(&'static str),
    /// A dead letter with this reason.
    Dead(&'static str),
    /// Settled one way or the other.
    Either,
    /// Skipped as a tombstone.
    Tombstone,
}
use End::{Dead, Either, Heard, Tombstone};

fn event(id: &str, source_id: &str) -> Vec<u8> {
    format!(r#"{{"id":{id},"type":"t","source_type":"key","source_id":{source_id}}}"#).into_bytes()
}

/// Replaces the text `BAD` by a byte that no UTF-8 contains.
fn invalid_utf8(text: &str) -> Vec<u8> {
    let (before, after) = text.split_once("BAD").unwrap();
    [before.as_bytes(), &[0xff], after.as_bytes()].concat()
}

/// Every odd record and where it ends.
pub fn odd_records() -> Vec<(NewRecord, End)> {
    let long = format!("\"{}\"", "x".repeat(2_000));
    let value = |value: Vec<u8>| NewRecord::of(value);
    let text = |value: &str| NewRecord::of(value);
    let long_source = format!("\"{}\"", "x".repeat(600));
    let deep = format!(
        r#"{{"id":"deep","type":"t","source_type":"key","source_id":"s","x":{}"#,
        "[".repeat(100_000)
    );
    vec![
        (text("not JSON"), Dead("invalid_json")),
        (text(""), Dead("invalid_json")),
        (
            text(r#"{"id":"cut","type":"t","source_type":"key","source"#),
            Dead("invalid_json"),
        ),
        (value(event(r#""\ud800""#, r#""s""#)), Dead("invalid_json")),
        (
            value(invalid_utf8(
                r#"{"id":"BAD","type":"t","source_type":"key","source_id":"s"}"#,
            )),
            Dead("invalid_json"),
        ),
        (text(&deep), Dead("invalid_json")),
        (
            value(invalid_utf8(
                r#"{"id":"u","type":"t","source_type":"key","source_id":"s","x":"BAD"}"#,
            )),
            Either,
        ),
        (text("[]"), Dead("not_an_object")),
        (text("5"), Dead("not_an_object")),
        (text(r#""text""#), Dead("not_an_object")),
        (text("null"), Dead("not_an_object")),
        (text("{}"), Dead("missing_field")),
        (
            text(r#"{"id":"m","type":"t","source_type":"key"}"#),
            Dead("missing_field"),
        ),
        (
            text(r#"{"type":"t","source_type":"key","source_id":"s"}"#),
            Dead("missing_field"),
        ),
        (value(event("true", r#""s""#)), Dead("wrong_type")),
        (value(event("1.5", r#""s""#)), Dead("wrong_type")),
        (value(event(r#""w""#, r#"{"a":1}"#)), Dead("wrong_type")),
        (value(event(r#""c""#, r#""a{b""#)), Dead("invalid_channel")),
        (value(event(r#""c""#, r#""a}b""#)), Dead("invalid_channel")),
        (value(event(r#""c""#, r#""a\nb""#)), Dead("invalid_channel")),
        (value(event(r#""c""#, r#""a::b""#)), Dead("invalid_channel")),
        (value(event(r#""c""#, &long_source)), Dead("invalid_channel")),
        (value(event(&long, r#""s""#)), Dead("notification_too_large")),
        (NewRecord::tombstone().key("gone"), Tombstone),
        (NewRecord::tombstone(), Tombstone),
        (
            value(event(
                r#""quote \" slash \\ tab \t é \u00e9 \ud83d\ude00""#,
                r#""s""#,
            )),
            Heard("quote \" slash \\ tab \t é é 😀"),
        ),
        (
            value(event("18446744073709551616123", r#""s""#)),
            Heard("18446744073709551616123"),
        ),
        (value(event("-5", "12345678901234567890123")), Heard("-5")),
        (
            value(event(r#""binary key""#, r#""s""#)).key([0xff, 0x00, 0xfe]),
            Heard("binary key"),
        ),
        (
            value(event(r#""empty key""#, r#""s""#)).key(""),
            Heard("empty key"),
        ),
        (
            value(event(r#""headers""#, r#""s""#))
                .header("null", None)
                .header("bin", Some(&[0xff]))
                .header("", Some(b"")),
            Heard("headers"),
        ),
        (
            value([b" \n".as_slice(), &event(r#""spaces""#, r#""s""#), b"\n "].concat()),
            Heard("spaces"),
        ),
        (
            text(r#"{"source_id":"s","x":{"id":"inner"},"source_type":"key","type":"t","id":"outer"}"#),
            Heard("outer"),
        ),
    ]
}
