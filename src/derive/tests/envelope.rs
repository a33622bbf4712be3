//! The default envelope and what its values may be.

use super::*;

const OCTOCAT: &str =
    r#"{"id":"e1","type":"PushEvent","source_type":"user","source_id":"octocat","ignored":[{}]}"#;

#[test]
fn an_envelope_becomes_one_notification_on_its_sources_channel() {
    let expected = (
        "events:user:octocat".to_owned(),
        r#"{"id":"e1","type":"PushEvent","source_id":"octocat"}"#.to_owned(),
    );
    assert_eq!(default().ready(OCTOCAT), [expected]);
}

#[test]
fn occurred_at_and_correlation_id_pass_through_as_they_are() {
    let value = r#"{"correlation_id": 7, "occurred_at":"2024-05-01T12:00:00Z", "id":"1","type":"t","source_type":"user","source_id":"s"}"#;
    let expected =
        r#"{"id":"1","type":"t","source_id":"s","occurred_at":"2024-05-01T12:00:00Z","correlation_id":7}"#;
    assert_eq!(default().notification(value), expected);
    let null = r#"{"correlation_id":null,"id":"1","type":"t","source_type":"user","source_id":"s"}"#;
    assert_eq!(
        default().notification(null),
        r#"{"id":"1","type":"t","source_id":"s"}"#
    );
}

#[test]
fn a_configured_route_adds_nothing_by_itself() {
    let value = r#"{"occurred_at":"x","id":"1","type":"t","source_type":"user","source_id":"s"}"#;
    assert_eq!(
        route("").notification(value),
        r#"{"id":"1","type":"t","source_id":"s"}"#
    );
}

#[test]
fn integers_become_strings_with_their_digits_kept() {
    for digits in [
        "0",
        "-5",
        "-0",
        "9007199254740993",
        "123456789012345678901234567890",
    ] {
        let command = default().ready(with_source_id(digits)).swap_remove(0);
        assert_eq!(command.0, format!("events:user:{digits}"));
        assert_eq!(
            command.1,
            format!(r#"{{"id":"1","type":"t","source_id":"{digits}"}}"#)
        );
    }
}

#[test]
fn other_types_are_the_wrong_type() {
    for json in [
        "1.5",
        "1e3",
        "true",
        "false",
        "{}",
        "[]",
        r#"["x"]"#,
        r#"{"a":1}"#,
    ] {
        assert_eq!(
            default().reason(with_source_id(json)),
            Reason::WrongType,
            "{json}"
        );
    }
}

#[test]
fn null_empty_and_absent_fields_are_missing() {
    assert_eq!(default().reason(with_source_id("null")), Reason::MissingField);
    assert_eq!(default().reason(with_source_id(r#""""#)), Reason::MissingField);
    let all = [("id", 1), ("type", 2), ("source_type", 3), ("source_id", 4)];
    for (absent, _) in all {
        let members: Vec<_> = all
            .iter()
            .filter(|(name, _)| *name != absent)
            .map(|(name, n)| format!("{name:?}:{n}"))
            .collect();
        let rejection = default().rejection(format!("{{{}}}", members.join(",")));
        assert_eq!(rejection.reason, Reason::MissingField);
        assert!(
            rejection
                .detail
                .starts_with(&format!("{absent} (`/{absent}`) is ")),
            "{rejection}"
        );
    }
}

#[test]
fn a_rejection_names_the_selector_and_never_the_value() {
    let rejection = default().rejection(with_source_id(r#"{"password":"hunter2"}"#));
    let expected = "source_id (`/source_id`) is an object; a non-empty string or an integer is needed";
    assert_eq!(rejection.detail, expected);
    for value in [
        r#"{"id":"hunter2"#,
        r#""hunter2""#,
        "hunter2",
        r#"{"id":hunter2}"#,
    ] {
        assert!(!default().rejection(value).detail.contains("hunter2"));
    }
    let channel = default().rejection(with_source_id(r#""{hunter2}""#));
    assert!(!channel.detail.contains("hunter2"), "{channel}");
}

#[test]
fn escapes_are_kept_in_the_notification_and_resolved_in_the_channel() {
    let command = default()
        .ready(with_source_id(r#""a\u00e9\/\ud83d\ude00b\"""#))
        .swap_remove(0);
    assert_eq!(command.0, "events:user:aé/😀b\"");
    assert_eq!(
        command.1,
        r#"{"id":"1","type":"t","source_id":"a\u00e9\/\ud83d\ude00b\""}"#
    );
}

#[test]
fn half_a_surrogate_pair_is_no_text() {
    for json in [
        r#""\ud83d""#,
        r#""\ude00""#,
        r#""\ud83dx""#,
        r#""\ud83d\n""#,
        r#""\ud83d\ud83d""#,
    ] {
        assert_eq!(
            default().reason(with_source_id(json)),
            Reason::InvalidJson,
            "{json}"
        );
    }
    // Nobody looks at it elsewhere: a truncated emoji in a body is no reason for a dead letter.
    let elsewhere = OCTOCAT.replace("[{}]", r#""\ud83d""#);
    assert_eq!(default().channels(elsewhere), ["events:user:octocat"]);
}

#[test]
fn a_null_value_is_a_tombstone_whatever_the_route() {
    let binary = route("id='coordinates'\ntype='literal:x'\nsource_id='topic'\nchannels=['c']");
    for case in [default(), binary] {
        let (derivation, ..) = case.run(None, Options::default());
        assert_eq!(derivation, Derivation::Skip(Skip::Tombstone));
    }
}

#[test]
fn a_replayed_notification_says_so_at_its_end() {
    let options = Options {
        replayed: true,
        ..Options::default()
    };
    let (_, commands, _) = default().run(Some(OCTOCAT.as_bytes()), options);
    assert_eq!(
        commands[0].1,
        r#"{"id":"e1","type":"PushEvent","source_id":"octocat","replayed":true}"#
    );
}

#[test]
fn only_what_is_wanted_goes_out_and_the_rest_is_skipped() {
    let value = r#"{"id":1,"type":"p\u0075sh","source_type":"repo","source_id":7}"#;
    let list = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
    for (types, source_types, source_ids, wanted) in [
        (list(&[]), list(&[]), list(&[]), true),
        (list(&["push"]), list(&["org", "repo"]), list(&["7"]), true),
        (list(&["pull"]), list(&[]), list(&[]), false),
        (list(&["push"]), list(&["org"]), list(&[]), false),
        (list(&[]), list(&[]), list(&["8", "\"7\""]), false),
    ] {
        let filter = Wanted {
            types,
            source_types,
            source_ids,
        };
        let options = Options {
            wanted: Some(&filter),
            ..Options::default()
        };
        let (derivation, ..) = default().run(Some(value.as_bytes()), options);
        let expected = match wanted {
            true => Derivation::Ready { commands: 1 },
            false => Derivation::Skip(Skip::Filtered),
        };
        assert_eq!(derivation, expected, "{filter:?}");
    }
}
