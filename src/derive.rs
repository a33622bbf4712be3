//! Record → channels and notification. Pure: no Kafka or Redis client, no clock, no I/O.
//!
//! Configuration time: [`RouteSpec`] (as written) → [`Route`] (compiled) → [`Router`] (by topic).
//! Per record: [`Deriver`] walks the value once, builds the notification and every channel in buffers it owns, and
//! hands them to a [`CommandSink`] only when all of them are good.

mod deriver;
mod reason;
mod route;
mod router;
mod spec;

pub use deriver::{CommandSink, Deriver, Limits, Options};
pub use reason::{Derivation, MAX_DETAIL_BYTES, Reason, Rejection, Skip};
pub use route::Route;
pub use router::{RouteProblem, Router};
pub use spec::RouteSpec;
