//! A route, compiled: how a record becomes channels and a notification.

use super::channel::Channel;
use super::compile::Compiler;
use super::envelope::Needed;
use super::notification::Field;
use super::source::Documents;
use super::{RouteProblem, RouteSpec};

/// The most channels one record may go to.
pub const MAX_CHANNELS: usize = 16;

/// A compiled route.
#[derive(Debug)]
pub struct Route {
    pub(super) id: Needed,
    pub(super) kind: Needed,
    /// `None` when no channel uses it: then a record need not have it.
    pub(super) source_type: Option<Needed>,
    pub(super) source_id: Needed,
    pub(super) channels: Vec<Channel>,
    pub(super) fields: Vec<Field>,
    pub(super) documents: Documents,
}

impl Route {
    /// Compiles one route. What is left out is as in the default envelope. The problems don't know the route's
    /// index: [`super::Router::compile`] fills it in.
    pub fn compile(spec: &RouteSpec) -> Result<Self, Vec<RouteProblem>> {
        let fields = spec
            .fields
            .iter()
            .map(|(name, selector)| (name.as_str(), selector.as_str()));
        Compiler::default().route(spec, fields)
    }

    /// The route that serves all topics when none is configured: `id`, `type`, `source_type` and `source_id` out of
    /// the value, with `occurred_at` and `correlation_id` passed through, in this order.
    ///
    /// It is compiled like any other, and so reports like any other.
    pub fn default_envelope() -> Result<Self, Vec<RouteProblem>> {
        let fields = [
            ("occurred_at", "/occurred_at"),
            ("correlation_id", "/correlation_id"),
        ];
        Compiler::default().route(&RouteSpec::default(), fields)
    }

    /// How many channels a record goes to; the bits of [`super::Options::only`] count them from 0.
    pub fn channel_count(&self) -> usize {
        self.channels.len()
    }

    /// Whether values have to be JSON: a route that takes nothing out of the value serves binary ones too.
    pub fn reads_value(&self) -> bool {
        !self.documents.value.is_empty()
    }
}
