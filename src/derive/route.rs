//! A route, compiled: how a record becomes channels and a notification.

use super::{RouteProblem, RouteSpec};

/// A compiled route.
#[derive(Debug)]
pub struct Route {}

impl Route {
    /// Compiles one route. The problems don't know their index: [`super::Router::compile`] fills it in.
    pub fn compile(_spec: &RouteSpec) -> Result<Self, Vec<RouteProblem>> {
        Ok(Self {})
    }
}
