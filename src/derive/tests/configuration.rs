//! What `check` refuses in a route, and what it says.

use super::*;

fn refused(channel: &str, more: &str) -> String {
    let (key, message) = route(&format!("channels=['{channel}']\n{more}")).problem();
    assert_eq!(key, "channels");
    message
}

#[test]
fn one_channel_per_event_is_refused_with_the_reason_and_a_way_out() {
    assert_eq!(
        refused("events:{id}", ""),
        "`events:{id}`: {id} differs for every record, which makes one channel per event, and nobody can subscribe \
         to a channel before its event happens; name the source instead, as in \
         `events:{source_type}:{source_id}`, and let receivers take the id from the notification"
    );
    for name in ["offset", "coordinates", "timestamp"] {
        assert!(
            refused(&format!("c:{{{name}}}"), "").contains("one channel per event"),
            "{name}"
        );
    }
}

#[test]
fn a_placeholder_fed_by_the_ids_selector_is_refused() {
    let same = [
        ("{source_id}", "id='/x'\nsource_id='/x'"),
        ("{source_type}", "id='/source_type'"),
        ("{type}", "id='header:h'\ntype='header:h'"),
        ("{key}", "id='key'"),
        ("{source_id}", "id='key'\nsource_id='key'"),
        ("{source_id}", "id='key:/i'\nsource_id='key:/i'"),
        ("{f}", "id='/a~1b'\nfields={f='/a~1b'}"),
        ("{f}", "fields={f='/id'}"),
    ];
    for (placeholder, toml) in same {
        let message = refused(&format!("c:{placeholder}"), toml);
        assert!(
            message.contains("comes from the same selector as the id"),
            "{message}"
        );
    }
}

#[test]
fn a_placeholder_that_differs_for_every_record_is_refused_under_any_name() {
    for (placeholder, toml) in [
        ("{source_id}", "source_id='offset'"),
        ("{type}", "type='timestamp'"),
        ("{f}", "fields={f='offset'}"),
        ("{f}", "fields={f='timestamp'}"),
    ] {
        let message = refused(&format!("c:{placeholder}"), toml);
        assert!(message.contains("differs for every record"), "{message}");
    }
}

#[test]
fn the_ids_selector_may_feed_what_no_channel_shows() {
    let case = route("id='/x'\nsource_id='/x'\nchannels=['c:{type}']");
    assert_eq!(case.channels(r#"{"x":1,"type":"t"}"#), ["c:t"]);
}

#[test]
fn an_unknown_placeholder_is_refused_with_the_known_ones() {
    assert_eq!(
        refused("c:{tenant}", "fields={action='/action'}"),
        "`c:{tenant}`: {tenant} is not a placeholder; known are {type}, {source_type}, {source_id}, {topic}, \
         {partition}, {key}, {action}"
    );
    assert!(refused("c:{}", "").contains("{} is not a placeholder"));
}

#[test]
fn braces_have_to_match() {
    assert_eq!(
        refused("c:{type", ""),
        "`c:{type` has a `{` that is never closed; a literal brace is written `{{`"
    );
    assert_eq!(
        refused("c:{a{b}", ""),
        "`c:{a{b}` has a `{` that is never closed; a literal brace is written `{{`"
    );
    assert_eq!(
        refused("c:type}", ""),
        "`c:type}` has a `}` that closes nothing; a literal brace is written `}}`"
    );
}

#[test]
fn a_template_that_can_never_give_a_valid_channel_is_refused() {
    for template in ["", ":", "events::{type}", ":{type}", "{type}:", "a::b"] {
        assert!(refused(template, "").contains("empty segment"), "{template}");
    }
    let (_, message) = route("channels=[\"a\\nb\"]").problem();
    assert_eq!(message, "`a\\nb` has a control character");
    assert!(refused(&"x".repeat(513), "").starts_with("a channel may have at most 512 bytes"));
}

#[test]
fn the_number_of_channels_has_bounds() {
    assert_eq!(route("channels=[]").problem().1, "at least one channel is needed");
    let list = |count: usize| {
        let names: Vec<_> = (0..count).map(|n| format!("'c{n}'")).collect();
        route(&format!("channels=[{}]", names.join(",")))
    };
    assert_eq!(list(MAX_CHANNELS).compiled().channel_count(), MAX_CHANNELS);
    let (key, message) = list(MAX_CHANNELS + 1).problem();
    assert_eq!(
        (key.as_str(), message.as_str()),
        ("channels", "a record may go to at most 16 channels; these are 17")
    );
    assert_eq!(route("channels=['c', 'c']").problem().1, "`c` is there twice");
}

#[test]
fn a_field_cannot_take_the_place_of_the_notifications_own() {
    for name in ["id", "type", "source_id", "replayed"] {
        let (key, message) = route(&format!("fields={{{name}='/x'}}")).problem();
        assert_eq!(key, format!("fields.{name}"));
        assert_eq!(
            message,
            format!("every notification has its own `{name}`; choose another name")
        );
    }
    assert_eq!(route("fields={''='/x'}").problem().1, "a field needs a name");
    assert_eq!(route("fields={f='x'}").problem().0, "fields.f");
    assert!(route("fields={f=''}").problem().1.contains("is not a selector"));
}

#[test]
fn a_field_that_a_placeholder_could_be_mistaken_for_is_refused() {
    let message = refused("c:{topic}", "fields={topic='/topic'}");
    assert_eq!(
        message,
        "`c:{topic}`: {topic} could be the placeholder of that name or the field; rename the field"
    );
    assert_eq!(
        route("channels=['c:{topic}']\nfields={topic='topic'}")
            .compiled()
            .channel_count(),
        1
    );
}

#[test]
fn filters_are_reserved() {
    let (key, message) = route("filter='true'").problem();
    assert_eq!(
        (key.as_str(), message.as_str()),
        ("filter", "filters are reserved for a later version; remove it")
    );
}

#[test]
fn all_problems_of_a_route_are_told_at_once() {
    let problems =
        Route::compile(&spec("id='a'\ntype='b'\nchannels=['{x}', '{']\nfields={id='c'}")).unwrap_err();
    let keys: Vec<_> = problems.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(
        keys,
        ["id", "type", "fields.id", "fields.id", "channels", "channels"]
    );
}
