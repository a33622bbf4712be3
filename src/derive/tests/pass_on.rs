//! Trace context and correlation id: out of the headers, into the notification.

use super::*;

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const VALUE: &str = r#"{"id":"1","type":"t","source_type":"user","source_id":"s"}"#;
const BASE: &str = r#"{"id":"1","type":"t","source_id":"s""#;

fn all() -> PassOn {
    let passed = |name: &str| Some(PassedHeader::new(name, Some(name)));
    PassOn {
        traceparent: passed("traceparent"),
        tracestate: passed("tracestate"),
        correlation_id: passed("correlation_id"),
    }
}

fn traced() -> Case {
    Case {
        pass_on: all(),
        ..default()
    }
}

/// What stands behind the envelope, and how many members were left out.
fn rest(case: &Case, value: &str) -> (String, u64) {
    let (derivation, commands, omitted) = case.run(Some(value.as_bytes()), Options::default());
    assert!(matches!(derivation, Derivation::Ready { .. }), "{derivation:?}");
    let notification = &commands[0].1;
    assert!(notification.len() <= case.limits.max_notification_bytes);
    serde_json::from_str::<serde_json::Value>(notification).unwrap();
    let rest = notification.strip_prefix(BASE).unwrap();
    (rest.to_owned(), omitted)
}

#[test]
fn what_the_headers_say_is_passed_on() {
    let case = traced()
        .header("traceparent", Some(PARENT.as_bytes()))
        .header("tracestate", Some(br#"a=1,b="2\3""#))
        .header("correlation_id", Some("çor\"\n".as_bytes()));
    let expected =
        format!(r#","traceparent":"{PARENT}","correlation_id":"çor\"\n","tracestate":"a=1,b=\"2\\3\""}}"#);
    assert_eq!(rest(&case, VALUE), (expected, 0));
}

#[test]
fn without_headers_and_with_empty_ones_nothing_is_added() {
    let mut case = traced();
    assert_eq!(rest(&case, VALUE), ("}".to_owned(), 0));
    for name in ["traceparent", "tracestate", "correlation_id"] {
        case = case.header(name, Some(b""));
    }
    assert_eq!(rest(&case, VALUE), ("}".to_owned(), 0));
    for name in ["traceparent", "tracestate", "correlation_id"] {
        case = case.header(name, None);
    }
    assert_eq!(rest(&case, VALUE), ("}".to_owned(), 0));
}

#[test]
fn nothing_is_passed_on_unless_it_is_asked_for() {
    let case = default().header("traceparent", Some(PARENT.as_bytes()));
    assert_eq!(rest(&case, VALUE), ("}".to_owned(), 0));
}

#[test]
fn a_malformed_traceparent_is_left_out_with_its_tracestate_and_counted_once() {
    for wrong in [&PARENT[..54], &PARENT.to_uppercase(), "\u{fffd}"] {
        let case = traced()
            .header("traceparent", Some(wrong.as_bytes()))
            .header("tracestate", Some(b"a=1"))
            .header("correlation_id", Some(b"c"));
        assert_eq!(
            rest(&case, VALUE),
            (r#","correlation_id":"c"}"#.to_owned(), 1),
            "{wrong}"
        );
    }
}

#[test]
fn a_tracestate_alone_means_nothing() {
    let case = traced().header("tracestate", Some(b"a=1"));
    assert_eq!(rest(&case, VALUE), ("}".to_owned(), 0));
}

#[test]
fn the_last_of_several_headers_counts() {
    let case = traced()
        .header("traceparent", Some(b"first"))
        .header("traceparent", Some(PARENT.as_bytes()));
    assert_eq!(rest(&case, VALUE).0, format!(r#","traceparent":"{PARENT}"}}"#));
}

#[test]
fn what_is_no_text_is_left_out_and_counted() {
    let case = traced()
        .header("traceparent", Some(PARENT.as_bytes()))
        .header("tracestate", Some(b"a=\x01"))
        .header("correlation_id", Some(b"\xff"));
    assert_eq!(rest(&case, VALUE), (format!(r#","traceparent":"{PARENT}"}}"#), 2));
}

#[test]
fn the_records_own_correlation_id_wins_over_the_header() {
    let case = traced().header("correlation_id", Some(b"of the header"));
    let own = VALUE.replace("\"s\"}", "\"s\",\"correlation_id\":7}");
    assert_eq!(rest(&case, &own), (r#","correlation_id":7}"#.to_owned(), 0));
    let null = VALUE.replace("\"s\"}", "\"s\",\"correlation_id\":null}");
    let expected = r#","correlation_id":"of the header"}"#.to_owned();
    assert_eq!(rest(&case, &null), (expected, 0));
}

#[test]
fn a_routes_own_traceparent_wins_and_takes_no_foreign_tracestate() {
    let case = Case {
        pass_on: all(),
        ..route(
            "id='literal:1'\ntype='literal:t'\nsource_id='literal:s'\nchannels=['c']\n\
             fields={ traceparent='/p', other='/o' }",
        )
    };
    let case = case
        .header("traceparent", Some(PARENT.as_bytes()))
        .header("tracestate", Some(b"a=1"));
    assert_eq!(
        rest(&case, r#"{"p":"own"}"#),
        (r#","traceparent":"own"}"#.to_owned(), 0)
    );
    let expected = format!(r#","other":2,"traceparent":"{PARENT}","tracestate":"a=1"}}"#);
    assert_eq!(rest(&case, r#"{"o":2}"#), (expected, 0));
}

#[test]
fn what_does_not_fit_is_left_out_and_counted_and_the_tracestate_is_the_first_to_go() {
    let case = |cap| {
        traced()
            .cap(cap)
            .header("traceparent", Some(PARENT.as_bytes()))
            .header("tracestate", Some(b"a=\"longer than the id"))
            .header("correlation_id", Some(b"c"))
    };
    let parent = format!(r#","traceparent":"{PARENT}""#);
    let (correlation, state) = (
        r#","correlation_id":"c""#,
        r#","tracestate":"a=\"longer than the id""#,
    );
    let with_parent = BASE.len() + parent.len() + 1;
    let with_both = with_parent + correlation.len();
    let whole = with_both + state.len();
    let cases = [
        (whole, format!("{parent}{correlation}{state}}}"), 0),
        (whole - 1, format!("{parent}{correlation}}}"), 1),
        (with_both - 1, format!("{parent}}}"), 2),
        // Without its traceparent the tracestate isn't looked at.
        (with_parent - 1, format!("{correlation}}}"), 1),
        (BASE.len() + 1, "}".to_owned(), 2),
    ];
    for (cap, expected, omitted) in cases {
        assert_eq!(rest(&case(cap), VALUE), (expected, omitted), "{cap}");
    }
}

#[test]
fn a_tracestate_is_bounded() {
    let long = format!("a={},b={}", "x".repeat(300), "y".repeat(300));
    let case = traced()
        .cap(4096)
        .header("traceparent", Some(PARENT.as_bytes()))
        .header("tracestate", Some(long.as_bytes()));
    let (rest, omitted) = rest(&case, VALUE);
    assert!(
        rest.ends_with(&format!(r#","tracestate":"a={}"}}"#, "x".repeat(300))),
        "{rest}"
    );
    assert_eq!(omitted, 0);
}

#[test]
fn headers_and_fields_have_the_names_that_are_configured() {
    let pass_on = PassOn {
        traceparent: Some(PassedHeader::new("X-Trace", Some("tr\"ace"))),
        correlation_id: Some(PassedHeader::new("X-Request-ID", Some("request"))),
        tracestate: None,
    };
    let case = Case { pass_on, ..default() }
        .header("X-Trace", Some(PARENT.as_bytes()))
        .header("tracestate", Some(b"a=1"))
        .header("X-Request-ID", Some(b"r"));
    let expected = format!(r#","tr\"ace":"{PARENT}","request":"r"}}"#);
    assert_eq!(rest(&case, VALUE), (expected, 0));
}

#[test]
fn the_context_can_be_asked_for_without_being_written() {
    let pass_on = PassOn {
        traceparent: Some(PassedHeader::new("traceparent", None)),
        ..all()
    };
    let case = Case { pass_on, ..default() }
        .header("traceparent", Some(PARENT.as_bytes()))
        .header("tracestate", Some(b"a=1"));
    assert_eq!(rest(&case, VALUE), ("}".to_owned(), 0));
    let mut deriver = Deriver::new(case.limits).passing_on(case.pass_on.clone());
    let route = case.compiled();
    let derive = |deriver: &mut Deriver, case: &Case| {
        let record = case.record(Some(VALUE.as_bytes()));
        let _ = deriver.derive(&route, &record, Options::default(), &mut Collected::default());
        deriver.context()
    };
    assert!(derive(&mut deriver, &case).is_some_and(|context| context.is_sampled()));
    assert_eq!(derive(&mut deriver, &default()), None, "of the last record");
}
