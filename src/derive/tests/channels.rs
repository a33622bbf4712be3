//! Channels: what may be in them, and how one record goes to several.

use super::*;

#[test]
fn one_record_goes_to_every_channel_of_its_route_in_order() {
    let case = route(
        "channels=['events:{source_type}:{source_id}', 'events:{source_type}', 'all:{type}:{topic}:{partition}']",
    );
    let commands = case.ready(with_source_id(r#""owner/repo""#));
    let channels: Vec<_> = commands.iter().map(|(channel, _)| channel.as_str()).collect();
    assert_eq!(channels, ["events:user:owner/repo", "events:user", "all:t:t:3"]);
    assert!(commands.iter().all(|(_, payload)| *payload == commands[0].1));
}

#[test]
fn extra_fields_and_the_key_can_be_part_of_a_channel() {
    let case = |json: &str| {
        let case =
            route("fields={f='/f'}\nchannels=['c:{f}:{key}']\nid='offset'\ntype='topic'\nsource_id='topic'");
        (case.key("k"), format!(r#"{{"f":{json}}}"#))
    };
    let scalars = [
        (r#""a\u002fb""#, "a/b"),
        ("1.50", "1.50"),
        ("-7", "-7"),
        ("true", "true"),
    ];
    for (json, expected) in scalars {
        let (case, value) = case(json);
        assert_eq!(case.channels(value), [format!("c:{expected}:k")]);
    }
    let faults = [
        ("{}", Reason::WrongType),
        ("[1]", Reason::WrongType),
        ("null", Reason::MissingField),
        (r#""""#, Reason::InvalidChannel),
        (r#""\ud83d""#, Reason::InvalidJson),
    ];
    for (json, reason) in faults {
        let (case, value) = case(json);
        assert_eq!(case.reason(value), reason, "{json}");
    }
    let (case, _) = case("1");
    assert_eq!(
        Case { key: None, ..case }.reason(r#"{"f":1}"#),
        Reason::MissingField
    );
}

#[test]
fn braces_and_control_characters_in_values_make_an_invalid_channel() {
    let bad = [
        "a{b",
        "a}b",
        r"a\u0000b",
        r"a\nb",
        r"\u007f",
        r"\u0085",
        "\u{85}",
        r"\u007bx",
        "\u{7f}",
    ];
    for text in bad {
        let rejection = default().rejection(with_source_id(&format!("\"{text}\"")));
        assert_eq!(rejection.reason, Reason::InvalidChannel, "{text:?}");
        assert!(rejection.detail.starts_with("source_id has a "), "{rejection}");
    }
    // Neither braces nor control characters.
    for text in ["a b", "é", "😀", "a*b?[c]", "\u{a0}"] {
        assert_eq!(
            default().channels(with_source_id(&format!("\"{text}\""))),
            [format!("events:user:{text}")]
        );
    }
}

#[test]
fn a_colon_in_a_value_is_fine_unless_it_leaves_a_segment_empty() {
    assert_eq!(
        default().channels(with_source_id(r#""a:b""#)),
        ["events:user:a:b"]
    );
    for text in [":", ":a", "a:", "a::b"] {
        let rejection = default().rejection(with_source_id(&format!("\"{text}\"")));
        assert_eq!(rejection.reason, Reason::InvalidChannel);
        let expected = "the channel of `events:{source_type}:{source_id}` has an empty segment";
        assert_eq!(rejection.detail, expected);
    }
}

#[test]
fn a_channel_has_at_most_512_bytes() {
    let prefix = "events:user:".len();
    let fits = "x".repeat(MAX_CHANNEL_BYTES - prefix);
    assert_eq!(
        default().channels(with_source_id(&format!("\"{fits}\""))),
        [format!("events:user:{fits}")]
    );
    let escaped = fits.replace('x', r"\u0078");
    assert_eq!(
        default()
            .cap(8192)
            .channels(with_source_id(&format!("\"{escaped}\""))),
        [format!("events:user:{fits}")]
    );
    for text in [
        format!("{fits}x"),
        format!("{escaped}x"),
        "x".repeat(100_000),
        r"\u0078".repeat(100_000),
    ] {
        let rejection = default().rejection(with_source_id(&format!("\"{text}\"")));
        assert_eq!(rejection.reason, Reason::InvalidChannel);
        assert!(rejection.detail.ends_with("has more than 512 bytes"));
    }
    // The limit falls into the middle of a character.
    let wide = "é".repeat(400);
    assert_eq!(
        default().reason(with_source_id(&format!("\"{wide}\""))),
        Reason::InvalidChannel
    );
}

#[test]
fn literal_braces_stay_braces() {
    let case = route("channels=['{{{source_type}}}:{source_id}', 'a}}b{{c']");
    assert_eq!(case.channels(with_source_id("1")), ["{user}:1", "a}b{c"]);
}

#[test]
fn one_bad_channel_rejects_the_record_for_all_of_them() {
    let case = route("channels=['events:{source_type}', 'events:{source_type}:{source_id}']");
    assert_eq!(case.reason(with_source_id(r#""{""#)), Reason::InvalidChannel);
}

#[test]
fn only_the_channels_asked_for_are_emitted() {
    let case = route("channels=['a', 'b:{source_id}', 'c']");
    let value = with_source_id("1");
    let emitted = |only| {
        let (derivation, commands, _) = case.run(
            Some(value.as_bytes()),
            Options {
                only,
                ..Options::default()
            },
        );
        assert_eq!(
            derivation,
            Derivation::Ready {
                commands: commands.len() as u16
            }
        );
        commands
            .into_iter()
            .map(|(channel, _)| channel)
            .collect::<Vec<_>>()
    };
    assert_eq!(emitted(None), ["a", "b:1", "c"]);
    assert_eq!(emitted(Some(0b101)), ["a", "c"]);
    assert_eq!(emitted(Some(0b010)), ["b:1"]);
    assert!(emitted(Some(0)).is_empty());
}

#[test]
fn a_denied_channel_rejects_the_record_only_if_it_would_be_emitted() {
    let case = route("channels=['a', 'b:{source_id}']");
    let value = with_source_id("1");
    let denied: &IsDenied<'_> = &|channel| channel == b"b:1";
    let run = |only| {
        let options = Options {
            denied: Some(denied),
            only,
            ..Options::default()
        };
        case.run(Some(value.as_bytes()), options).0
    };
    let Derivation::Reject(rejection) = run(None) else {
        panic!()
    };
    assert_eq!(rejection.reason, Reason::ChannelDenied);
    assert_eq!(rejection.detail, "Redis refuses the channel of `b:{source_id}`");
    assert_eq!(run(Some(1)), Derivation::Ready { commands: 1 });
}

#[test]
fn a_record_needs_no_source_type_where_no_channel_has_it() {
    let case = route("channels=['c:{source_id}']");
    assert_eq!(case.channels(r#"{"id":1,"type":2,"source_id":3}"#), ["c:3"]);
}
