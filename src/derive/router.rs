//! Which route serves a topic.

use std::sync::Arc;

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
pub struct Router {}

impl Router {
    /// Compiles `routes` for the topics of `kafka.topics` (names, and regular expressions that start with `^`).
    pub fn compile(_topics: &[String], _routes: &[RouteSpec]) -> Result<Self, Vec<RouteProblem>> {
        Ok(Self {})
    }

    /// The first route whose topics match. Meant to be asked once per topic, not per record.
    pub fn route_for(&self, _topic: &str) -> Option<Arc<Route>> {
        None
    }
}
