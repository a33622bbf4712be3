//! What counts as JSON, and how pointers find their way in it.

use super::*;

/// Where the scanner stopped, out of the detail of a rejection.
fn stopped_at(value: &str) -> String {
    let rejection = default().rejection(value);
    assert_eq!(rejection.reason, Reason::InvalidJson, "{value}");
    rejection.detail.into_owned()
}

#[test]
fn what_is_not_one_complete_json_text_is_invalid() {
    let broken = [
        "",
        " ",
        "{",
        "}",
        "[",
        "[1",
        "[1,",
        "[1,]",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "{\"a\":1,",
        "{\"a\":1,}",
        "{a:1}",
        "{'a':1}",
        "{\"a\" 1}",
        "{,}",
        "[,]",
        "nul",
        "tru",
        "True",
        "NaN",
        "01",
        "-",
        "+1",
        "1.",
        ".5",
        "1e",
        "1e+",
        "0x1",
        "\"",
        "\"\\",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"a\nb\"",
        "\"\u{1}\"",
        "{} {}",
        "{}x",
        "{},",
        "// c\n{}",
        "\u{feff}{}",
        "{\"a\":1 \"b\":2}",
        "[1 2]",
        "{\"a\":[}",
        "\u{0}",
        "{}\u{0}",
    ];
    for value in broken {
        assert_eq!(default().reason(value), Reason::InvalidJson, "{value:?}");
        assert!(
            serde_json::from_str::<serde_json::Value>(value).is_err(),
            "{value:?}"
        );
    }
}

#[test]
fn bytes_that_are_not_utf8_are_invalid_wherever_they_are() {
    let mut value = br#"{"id":"1","type":"t","source_type":"u","source_id":"s","body":"ab"}"#.to_vec();
    let at = value.len() - 4;
    value[at] = 0xff;
    let rejection = default().rejection(&value);
    assert_eq!(rejection.reason, Reason::InvalidJson);
    assert_eq!(rejection.detail, format!("value, byte {at}: not UTF-8"));
}

#[test]
fn a_rejection_tells_the_byte_and_what_was_expected() {
    assert_eq!(stopped_at(""), "value, byte 0 (the end): expected a value");
    assert_eq!(
        stopped_at(r#"{"a":1,}"#),
        "value, byte 7: expected a member name in quotes"
    );
    assert_eq!(
        stopped_at(r#"{"a":1"#),
        "value, byte 6 (the end): expected `,` or `}`"
    );
    assert_eq!(
        stopped_at("{}x"),
        "value, byte 2: expected nothing after the value"
    );
    assert_eq!(stopped_at(r#"{"é":01}"#), "value, byte 7: expected `,` or `}`");
}

#[test]
fn json_that_is_no_object_is_told_apart_from_what_is_no_json() {
    for value in [
        "null",
        "1",
        "true",
        r#""text""#,
        "[]",
        r#"[{"id":"1"}]"#,
        " 1.5e3 ",
    ] {
        assert_eq!(default().reason(value), Reason::NotAnObject, "{value}");
    }
}

#[test]
fn a_root_array_serves_routes_that_index_it() {
    let case = route("id='/0/id'\ntype='literal:x'\nsource_id='/1'\nchannels=['c:{source_id}']");
    assert_eq!(case.channels(r#"[{"id":"1"}, "s"]"#), ["c:s"]);
    assert_eq!(case.reason(r#"["s"]"#), Reason::MissingField);
    assert_eq!(case.reason("1"), Reason::NotAnObject);
}

#[test]
fn nesting_has_a_limit_that_protects_the_stack() {
    let nested = |depth: usize, open: &str, close: &str| {
        let (open, close) = (open.repeat(depth), close.repeat(depth));
        format!(r#"{{"id":"1","type":"t","source_type":"u","source_id":"s","deep":{open}{close}}}"#)
    };
    assert_eq!(default().channels(nested(127, "[", "]")), ["events:u:s"]);
    assert_eq!(default().reason(nested(128, "[", "]")), Reason::InvalidJson);
    for open in ["[", "{\"a\":", "[{\"id\":["] {
        assert_eq!(default().reason(nested(1_000_000, open, "")), Reason::InvalidJson);
        assert_eq!(default().reason(open.repeat(1_000_000)), Reason::InvalidJson);
    }
}

#[test]
fn of_members_with_the_same_name_the_last_one_counts() {
    let value = r#"{"source_id":"old","id":"1","type":"t","source_type":"u","source_id":"new"}"#;
    assert_eq!(default().channels(value), ["events:u:new"]);
    let null = r#"{"source_id":"old","id":"1","type":"t","source_type":"u","source_id":null}"#;
    assert_eq!(default().reason(null), Reason::MissingField);
    let case = route("source_id='/a/b'\nchannels=['c:{source_id}']");
    assert_eq!(
        case.reason(r#"{"id":1,"type":2,"a":{"b":"old"},"a":{}}"#),
        Reason::MissingField
    );
    assert_eq!(
        case.reason(r#"{"id":1,"type":2,"a":{"b":"old"},"a":5}"#),
        Reason::MissingField
    );
}

#[test]
fn names_are_compared_without_their_escapes() {
    let value = r#"{"\u0069d":"1","t\u0079pe":"t","source\u005ftype":"u","source_id":"s","\ud83d":1}"#;
    assert_eq!(default().channels(value), ["events:u:s"]);
}

#[test]
fn pointers_reach_into_arrays_and_resolve_their_own_escapes() {
    let case = route("source_id='/a~1b/m~0n/1/0'\nchannels=['c:{source_id}']");
    assert_eq!(
        case.channels(r#"{"id":1,"type":2,"a/b":{"m~n":[0,["s"]]}}"#),
        ["c:s"]
    );
    // The same token is a name where there is an object.
    assert_eq!(
        case.channels(r#"{"id":1,"type":2,"a/b":{"m~n":{"1":{"0":"s"}}}}"#),
        ["c:s"]
    );
}

#[test]
fn a_token_with_leading_zeros_is_a_name_and_no_index() {
    let case = route("source_id='/list/01'\nchannels=['c:{source_id}']");
    assert_eq!(
        case.reason(r#"{"id":1,"type":2,"list":["a","b"]}"#),
        Reason::MissingField
    );
    assert_eq!(case.channels(r#"{"id":1,"type":2,"list":{"01":"b"}}"#), ["c:b"]);
}

#[test]
fn one_value_can_be_wanted_whole_and_in_part() {
    let case = route(
        "source_id='/repo/name'\nchannels=['c:{source_id}']\nfields={repo='/repo', again='/repo/name'}",
    );
    let expected = r#"{"id":"1","type":"2","source_id":"n","again":"n","repo":{ "name":"n", "x":[1] }}"#;
    assert_eq!(
        case.notification(r#"{"id":1,"type":2,"repo":{ "name":"n", "x":[1] }}"#),
        expected
    );
}

#[test]
fn whitespace_is_fine_where_the_grammar_has_it() {
    let value = "\r\n\t {\t\"id\" :\n1 , \"type\" : 2 ,\"source_type\":\"u\" , \"source_id\" : [ ] , \"source_id\":\"s\" } \n";
    assert_eq!(default().channels(value), ["events:u:s"]);
}

#[test]
fn a_route_that_takes_nothing_from_the_value_serves_binary_values() {
    let case =
        route("id='coordinates'\ntype='literal:changed'\nsource_id='key'\nchannels=['row:{source_id}']")
            .key("k");
    assert!(!case.compiled().reads_value());
    for value in [&b""[..], b"\xff\x00", b"{"] {
        assert_eq!(case.channels(value), ["row:k"]);
    }
}
