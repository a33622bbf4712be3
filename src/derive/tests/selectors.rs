//! Where values may come from.

use super::*;

const CHANNEL: &str = "channels=['c:{source_id}']";

/// A route whose source id comes from this selector.
fn source_id(selector: &str) -> Case {
    route(&format!(
        "id='coordinates'\ntype='literal:x'\nsource_id='{selector}'\n{CHANNEL}"
    ))
}

#[test]
fn every_selector_gives_its_value() {
    let case = || {
        source_id("/x")
            .key("k")
            .header("h", Some(b"hv"))
            .timestamp(1_700_000_000_000)
    };
    let values = [
        ("key", "k"),
        ("header:h", "hv"),
        ("topic", "t"),
        ("partition", "3"),
        ("literal:a b", "a b"),
        ("/x", "v"),
    ];
    for (selector, expected) in values {
        let case = Case {
            spec: source_id(selector).spec,
            ..case()
        };
        assert_eq!(
            case.channels(r#"{"x":"v"}"#),
            [format!("c:{expected}")],
            "{selector}"
        );
    }
    let per_record = [
        ("offset", "42"),
        ("timestamp", "1700000000000"),
        ("coordinates", "t-3-42"),
    ];
    for (selector, expected) in per_record {
        let spec = spec(&format!(
            "id='{selector}'\ntype='literal:x'\nsource_id='topic'\n{CHANNEL}"
        ));
        let case = Case {
            spec: Some(spec),
            ..case()
        };
        let expected = format!(r#"{{"id":"{expected}","type":"x","source_id":"t"}}"#);
        assert_eq!(case.notification("{}"), expected, "{selector}");
    }
}

#[test]
fn the_last_header_of_a_name_counts() {
    let case = source_id("header:h")
        .header("h", Some(b"first"))
        .header("H", Some(b"no"))
        .header("h", Some(b"last"));
    assert_eq!(case.channels("x"), ["c:last"]);
}

#[test]
fn absent_null_and_empty_keys_headers_and_timestamps_are_missing() {
    assert_eq!(source_id("key").reason("x"), Reason::MissingField);
    assert_eq!(source_id("key").key("").reason("x"), Reason::MissingField);
    assert_eq!(source_id("header:h").reason("x"), Reason::MissingField);
    assert_eq!(
        source_id("header:h").header("h", None).reason("x"),
        Reason::MissingField
    );
    assert_eq!(
        source_id("header:h").header("h", Some(b"")).reason("x"),
        Reason::MissingField
    );
    let timestamp = route("id='timestamp'\ntype='literal:x'\nsource_id='topic'\nchannels=['c']");
    assert_eq!(timestamp.reason("x"), Reason::MissingField);
}

#[test]
fn keys_and_headers_that_are_not_text_are_the_wrong_type() {
    assert_eq!(source_id("key").key(b"\xff").reason("x"), Reason::WrongType);
    assert_eq!(
        source_id("header:h").header("h", Some(b"\xff")).reason("x"),
        Reason::WrongType
    );
}

#[test]
fn a_key_can_be_json() {
    let case = || source_id("key:/payload/id");
    assert_eq!(case().key(r#"{"payload":{"id":7}}"#).channels(b"\xff"), ["c:7"]);
    assert_eq!(case().key(r#"{"payload":{}}"#).reason("x"), Reason::MissingField);
    assert_eq!(case().reason("x"), Reason::MissingField);
    assert_eq!(case().key("[]").reason("x"), Reason::NotAnObject);
    for broken in [&b""[..], b"{", b"\xff"] {
        let rejection = case().key(broken).rejection("x");
        assert_eq!(rejection.reason, Reason::InvalidJson);
        assert!(rejection.detail.starts_with("key, byte "), "{rejection}");
    }
}

#[test]
fn text_from_outside_the_value_is_escaped_in_the_notification() {
    let case =
        route("id='key'\ntype='literal:x'\nsource_id='topic'\nchannels=['c']").key("a\"\\\n\u{1}\u{7f}é");
    assert_eq!(
        case.notification("x"),
        "{\"id\":\"a\\\"\\\\\\n\\u0001\u{7f}é\",\"type\":\"x\",\"source_id\":\"t\"}"
    );
}

#[test]
fn an_unknown_selector_is_refused_with_the_valid_ones() {
    let (key, message) = route("id='uuid'").problem();
    assert_eq!(key, "id");
    assert_eq!(
        message,
        "`uuid` is not a selector; valid are a JSON Pointer into the value (`/field`, `/list/0/name`), `key`, \
         `key:/pointer`, `header:NAME`, `topic`, `partition`, `offset`, `timestamp`, `literal:TEXT`, and for `id` \
         alone `coordinates`"
    );
}

#[test]
fn selectors_that_can_never_work_are_refused() {
    let message = |text: &str| route(&format!("type='{text}'")).problem().1;
    assert_eq!(message("header:"), "`header:` has nothing after `header:`");
    assert_eq!(message("literal:"), "`literal:` has nothing after `literal:`");
    assert_eq!(message("key:x"), "the JSON Pointer `x` must start with `/`");
    assert_eq!(message("key:"), "the JSON Pointer `` must start with `/`");
    assert_eq!(
        message("/a~2"),
        "the JSON Pointer `/a~2` has a `~` that is neither `~0` (for `~`) nor `~1` (for `/`)"
    );
    assert_eq!(
        message("coordinates"),
        "`coordinates` serves `id` alone, not `type`"
    );
    assert!(message("").starts_with("`` is not a selector"));
    assert!(message(&format!("/{}", "x".repeat(300))).starts_with("a selector may have at most 256 bytes"));
}
