//! Record → channels and notification. Pure: no Kafka or Redis client, no clock, no I/O.
//!
//! Configuration time: [`RouteSpec`] (as written) → [`Route`] (compiled) → [`Router`] (by topic).
//! Per record: [`Deriver`] walks the value once, builds the notification and every channel in buffers it owns, and
//! hands them to a [`CommandSink`] only when all of them are good.

mod channel;
mod compile;
mod deriver;
mod envelope;
mod extract;
mod notification;
mod pointer;
mod reason;
mod route;
mod router;
mod scan;
mod selector;
mod source;
mod spec;
mod template;
#[cfg(test)]
mod tests;
mod text;

pub use deriver::{CommandSink, Deriver, IsDenied, Limits, Options};
pub use reason::{Derivation, MAX_DETAIL_BYTES, Reason, Rejection, Skip};
pub use route::{MAX_CHANNELS, Route};
pub use router::{RouteProblem, Router};
pub use spec::RouteSpec;
pub use template::MAX_CHANNEL_BYTES;
