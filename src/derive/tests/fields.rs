//! Extra fields and the cap.

use super::*;

const BASE: &str = "id='literal:1'\ntype='literal:t'\nsource_id='literal:s'\nchannels=['c']\n";

fn fields(toml: &str) -> Case {
    route(&format!("{BASE}fields={{{toml}}}"))
}

fn rest(case: &Case, value: &str) -> String {
    let notification = case.notification(value);
    serde_json::from_str::<serde_json::Value>(&notification).unwrap();
    notification
        .strip_prefix(r#"{"id":"1","type":"t","source_id":"s""#)
        .unwrap()
        .to_owned()
}

#[test]
fn fields_come_in_the_order_of_their_names() {
    let case = fields("b='/b', a='/a', 'C d'='/c'");
    assert_eq!(rest(&case, r#"{"a":1,"b":2,"c":3}"#), r#","C d":3,"a":1,"b":2}"#);
}

#[test]
fn json_passes_as_it_stands_whatever_its_type() {
    let case = fields("f='/f'");
    for json in [
        r#""t\u0065xt""#,
        "1.50",
        "true",
        r#"{ "a": [1, {}] }"#,
        "[]",
        r#""""#,
    ] {
        assert_eq!(
            rest(&case, &format!(r#"{{"f":{json}}}"#)),
            format!(r#","f":{json}}}"#)
        );
    }
}

#[test]
fn absent_and_null_fields_are_left_out_and_not_counted() {
    let case = fields("f='/f', h='header:h', k='key', p='key:/p', t='timestamp'");
    for value in ["{}", r#"{"f":null}"#] {
        let (_, commands, omitted) = case.run(Some(value.as_bytes()), Options::default());
        assert_eq!(
            (commands[0].1.as_str(), omitted),
            (r#"{"id":"1","type":"t","source_id":"s"}"#, 0)
        );
    }
}

#[test]
fn coordinates_are_numbers_and_text_is_a_string() {
    let case =
        fields("a='partition', b='offset', c='timestamp', d='topic', e='literal:\"', f='key', g='header:g'");
    let case = case.timestamp(1_700_000_000_123).key("7").header("g", Some(b""));
    let expected = r#","a":3,"b":42,"c":1700000000123,"d":"t","e":"\"","f":"7","g":""}"#;
    assert_eq!(rest(&case, "not json"), expected);
}

#[test]
fn fields_that_are_no_text_are_left_out_and_counted() {
    let case = fields("k='key', h='header:h', f='/f'")
        .key(b"\xff")
        .header("h", Some(b"\xfe"));
    let (_, commands, omitted) = case.run(Some(br#"{"f":{"a":"\ud83d"}}"#), Options::default());
    assert_eq!(
        (commands[0].1.as_str(), omitted),
        (r#"{"id":"1","type":"t","source_id":"s"}"#, 3)
    );
}

#[test]
fn a_field_that_does_not_fit_is_left_out_and_counted_and_later_ones_still_go_in() {
    let value = format!(r#"{{"a":"{}","b":1}}"#, "x".repeat(1024));
    let (_, commands, omitted) = fields("a='/a', b='/b'").run(Some(value.as_bytes()), Options::default());
    assert_eq!(
        (commands[0].1.as_str(), omitted),
        (r#"{"id":"1","type":"t","source_id":"s","b":1}"#, 1)
    );
    // Escaping makes it too long, which shows only while writing.
    let case = fields("a='key', b='offset'").key("\u{1}".repeat(200));
    let (_, commands, omitted) = case.run(Some(b"x"), Options::default());
    assert_eq!(
        (commands[0].1.as_str(), omitted),
        (r#"{"id":"1","type":"t","source_id":"s","b":42}"#, 1)
    );
}

#[test]
fn the_cap_is_exact() {
    let case = || fields("f='/f'");
    let with_field = r#"{"id":"1","type":"t","source_id":"s","f":1}"#.len();
    let without = r#"{"id":"1","type":"t","source_id":"s"}"#.len();
    assert_eq!(
        case().cap(with_field).notification(r#"{"f":1}"#).len(),
        with_field
    );
    assert_eq!(
        case().cap(with_field - 1).notification(r#"{"f":1}"#).len(),
        without
    );
    assert_eq!(case().cap(without).notification(r#"{"f":1}"#).len(), without);
    for cap in [without - 1, 1, 0] {
        let rejection = case().cap(cap).rejection(r#"{"f":1}"#);
        assert_eq!(rejection.reason, Reason::NotificationTooLarge);
        assert_eq!(
            rejection.detail,
            format!("over {cap} bytes with id, type and source_id alone")
        );
    }
}

#[test]
fn an_envelope_over_the_cap_is_too_large_however_it_gets_there() {
    let long = "x".repeat(2000);
    let id = |json: String| format!(r#"{{"id":{json},"type":"t","source_type":"u","source_id":"s"}}"#);
    assert_eq!(
        default().reason(id(format!("\"{long}\""))),
        Reason::NotificationTooLarge
    );
    assert_eq!(
        default().reason(id("1".repeat(2000))),
        Reason::NotificationTooLarge
    );
    let escaped =
        route("id='key'\ntype='literal:t'\nsource_id='topic'\nchannels=['c']").key("\"".repeat(600));
    assert_eq!(escaped.reason("x"), Reason::NotificationTooLarge);
}

#[test]
fn omitted_fields_are_counted_until_taken() {
    let (case, mut sink) = (fields("k='key'").key(b"\xff"), Collected::default());
    let (compiled, mut deriver) = (case.compiled(), Deriver::new(Limits::default()));
    for _ in 0..3 {
        let _ = deriver.derive(&compiled, &case.record(Some(b"x")), Options::default(), &mut sink);
    }
    assert_eq!(deriver.fields_omitted(), 3);
    assert_eq!(deriver.fields_omitted(), 0);
}

#[test]
fn a_number_beyond_any_double_passes_as_it_stands() {
    let case = fields("n='/n'");
    let digits = "9".repeat(400);
    assert!(
        case.notification(format!(r#"{{"n":{digits}}}"#))
            .contains(&digits)
    );
}
