//! Which route serves a topic.

use std::sync::Arc;

use regex::Regex;

use super::{Route, RouteSpec};

/// One fault of a route, for the configuration to show with its file and line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteProblem {
    /// Which `[[routes]]` entry, counted from 0; `None` when a topic of `kafka.topics` has no route at all.
    pub route: Option<usize>,
    /// The key inside the route (`id`, `channels`, `fields.action`), or `kafka.topics` when `route` is `None`.
    pub key: String,
    /// What is wrong and what to write instead.
    pub message: String,
}

/// All routes, compiled.
#[derive(Debug)]
pub struct Router {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    /// `None` serves every topic.
    topics: Option<Vec<TopicMatcher>>,
    route: Arc<Route>,
}

/// A topic name, or a regular expression; as in librdkafka's subscriptions the `^` marks one, and it may match any
/// beginning of the name unless it ends with `$`.
#[derive(Debug)]
enum TopicMatcher {
    Name(String),
    Pattern(Regex),
}

impl TopicMatcher {
    fn parse(text: &str) -> Result<Self, String> {
        if !text.starts_with('^') {
            return if text.is_empty() {
                Err("a topic name is empty".to_owned())
            } else {
                Ok(Self::Name(text.to_owned()))
            };
        }
        // The error of the regex crate spans lines and marks the place; its last line is the message.
        let fault = |e: regex::Error| e.to_string().lines().last().unwrap_or_default().trim().to_owned();
        let pattern =
            Regex::new(text).map_err(|e| format!("`{text}` is not a regular expression: {}", fault(e)))?;
        Ok(Self::Pattern(pattern))
    }

    fn matches(&self, topic: &str) -> bool {
        match self {
            Self::Name(name) => name == topic,
            Self::Pattern(pattern) => pattern.is_match(topic),
        }
    }
}

impl Router {
    /// Compiles `routes` for the topics of `kafka.topics` (names, and regular expressions that start with `^`).
    ///
    /// Without routes the default envelope serves every topic.
    pub fn compile(topics: &[String], routes: &[RouteSpec]) -> Result<Self, Vec<RouteProblem>> {
        if routes.is_empty() {
            let route = Arc::new(Route::default_envelope()?);
            return Ok(Self {
                entries: vec![Entry { topics: None, route }],
            });
        }
        let mut problems = Vec::new();
        let mut entries = Vec::new();
        let mut all_matchers = Vec::new();
        for (index, spec) in routes.iter().enumerate() {
            let mut own = Vec::new();
            let matchers = matchers(spec, &mut own);
            if own.is_empty() {
                own.extend(unreachable(&matchers, topics));
            }
            match Route::compile(spec) {
                Ok(route) => entries.push(Entry {
                    topics: Some(matchers),
                    route: Arc::new(route),
                }),
                Err(more) => {
                    own.extend(more);
                    all_matchers.extend(matchers);
                }
            }
            problems.extend(own.into_iter().map(|problem| RouteProblem {
                route: Some(index),
                ..problem
            }));
        }
        let served = |topic: &str| {
            all_matchers.iter().any(|m| m.matches(topic)) || entries.iter().any(|entry| entry.serves(topic))
        };
        problems.extend(
            topics
                .iter()
                .filter(|topic| is_name(topic) && !served(topic))
                .map(unserved),
        );
        if problems.is_empty() {
            Ok(Self { entries })
        } else {
            Err(problems)
        }
    }

    /// The first route whose topics match. Meant to be asked once per topic, not per record.
    pub fn route_for(&self, topic: &str) -> Option<Arc<Route>> {
        self.entries
            .iter()
            .find(|entry| entry.serves(topic))
            .map(|entry| Arc::clone(&entry.route))
    }
}

impl Entry {
    fn serves(&self, topic: &str) -> bool {
        self.topics
            .as_ref()
            .is_none_or(|matchers| matchers.iter().any(|m| m.matches(topic)))
    }
}

fn is_name(topic: &str) -> bool {
    !topic.starts_with('^')
}

fn topics_problem(message: String) -> RouteProblem {
    RouteProblem {
        route: None,
        key: "topics".to_owned(),
        message,
    }
}

fn matchers(spec: &RouteSpec, problems: &mut Vec<RouteProblem>) -> Vec<TopicMatcher> {
    if spec.topics.is_empty() {
        problems.push(topics_problem(
            "a route needs at least one topic; `[\"^.*\"]` stands for all".to_owned(),
        ));
    }
    let parsed = spec.topics.iter().map(|topic| TopicMatcher::parse(topic));
    parsed
        .filter_map(|matcher| {
            matcher
                .map_err(|message| problems.push(topics_problem(message)))
                .ok()
        })
        .collect()
}

/// A guard against typing errors. Where `kafka.topics` has a regular expression, nobody can tell.
fn unreachable(matchers: &[TopicMatcher], topics: &[String]) -> Option<RouteProblem> {
    let certain = !topics.is_empty() && topics.iter().all(|topic| is_name(topic));
    let reachable = topics
        .iter()
        .any(|topic| matchers.iter().any(|m| m.matches(topic)));
    (certain && !reachable).then(|| {
        let message = format!(
            "none of these is in `kafka.topics` ({}), so it would never serve a record",
            topics.join(", ")
        );
        topics_problem(message)
    })
}

fn unserved(topic: &String) -> RouteProblem {
    let message = format!("no route serves the topic `{topic}`; add it to the `topics` of a route");
    RouteProblem {
        route: None,
        key: "kafka.topics".to_owned(),
        message,
    }
}
