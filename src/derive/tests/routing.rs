//! Which route serves which topic.

use super::*;

fn named(topics: &[&str]) -> Vec<String> {
    topics.iter().map(|&topic| topic.to_owned()).collect()
}

/// A route for these topics, with a channel that tells it from others.
fn serving(topics: &[&str], channel: &str) -> RouteSpec {
    RouteSpec {
        topics: named(topics),
        channels: Some(named(&[channel])),
        ..RouteSpec::default()
    }
}

fn problems(topics: &[&str], routes: &[RouteSpec]) -> Vec<(Option<usize>, String, String)> {
    let problems = Router::compile(&named(topics), routes).unwrap_err();
    problems
        .into_iter()
        .map(|problem| (problem.route, problem.key, problem.message))
        .collect()
}

fn channel(router: &Router, topic: &str) -> Option<String> {
    router
        .route_for(topic)
        .map(|route| route.channels[0].template.clone())
}

#[test]
fn without_routes_the_default_envelope_serves_every_topic() {
    let router = Router::compile(&named(&["a", "^b"]), &[]).unwrap();
    for topic in ["a", "b1", "anything"] {
        assert_eq!(
            channel(&router, topic).as_deref(),
            Some("events:{source_type}:{source_id}")
        );
    }
}

#[test]
fn the_first_route_that_matches_serves_a_topic() {
    let routes = [
        serving(&["a"], "one"),
        serving(&["^a", "b"], "two"),
        serving(&["^.*"], "three"),
    ];
    let router = Router::compile(&named(&["a", "ab", "b", "c"]), &routes).unwrap();
    let served = ["a", "ab", "b", "c"].map(|topic| channel(&router, topic).unwrap());
    assert_eq!(served, ["one", "two", "two", "three"]);
}

#[test]
fn a_pattern_matches_the_beginning_as_in_librdkafka() {
    let router = Router::compile(&named(&["^x"]), &[serving(&["^orders\\.", "^exact$"], "c")]).unwrap();
    assert!(router.route_for("orders.eu").is_some());
    assert!(router.route_for("my.orders.eu").is_none());
    assert!(router.route_for("exact").is_some());
    assert!(router.route_for("exactly").is_none());
}

#[test]
fn a_topic_that_only_a_pattern_matched_may_have_no_route() {
    let router = Router::compile(&named(&["^.*", "a"]), &[serving(&["a"], "c")]).unwrap();
    assert!(router.route_for("b").is_none());
}

#[test]
fn a_named_topic_without_a_route_is_a_problem() {
    let expected = (
        None,
        "kafka.topics".to_owned(),
        "no route serves the topic `b`; add it to the `topics` of a route".to_owned(),
    );
    assert_eq!(problems(&["a", "b", "^c"], &[serving(&["a"], "c")]), [expected]);
}

#[test]
fn a_route_that_can_never_serve_a_record_is_a_problem() {
    let routes = [serving(&["a"], "c"), serving(&["ordres", "^x"], "d")];
    let message = "none of these is in `kafka.topics` (a), so it would never serve a record".to_owned();
    assert_eq!(
        problems(&["a"], &routes),
        [(Some(1), "topics".to_owned(), message)]
    );
    // With a pattern, nobody can tell.
    assert!(Router::compile(&named(&["a", "^o"]), &routes).is_ok());
    assert!(Router::compile(&[], &routes).is_ok());
}

#[test]
fn topics_of_a_route_have_to_be_usable() {
    let message = |topics: &[&str]| problems(&["^a"], &[serving(topics, "c")]).swap_remove(0);
    let empty = "a route needs at least one topic; `[\"^.*\"]` stands for all".to_owned();
    assert_eq!(message(&[]), (Some(0), "topics".to_owned(), empty));
    assert_eq!(
        message(&[""]),
        (Some(0), "topics".to_owned(), "a topic name is empty".to_owned())
    );
    let (_, _, broken) = message(&["^("]);
    assert_eq!(broken, "`^(` is not a regular expression: error: unclosed group");
}

#[test]
fn problems_carry_the_index_of_their_route_and_a_broken_route_still_counts_as_serving() {
    let broken = RouteSpec {
        id: Some("nonsense".to_owned()),
        ..serving(&["b"], "c")
    };
    let found = problems(&["a", "b"], &[serving(&["a"], "c"), broken]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].0, found[0].1.as_str()), (Some(1), "id"));
}
