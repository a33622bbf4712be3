//! Record → channels and notification. Pure: no Kafka or Redis client, no clock, no I/O.
//!
//! Configuration time: [`RouteSpec`] (as written) → [`Route`] (compiled) → [`Router`] (by topic).
//! Per record: [`Deriver`] walks the value once, builds the notification and every channel in buffers it owns, and
//! hands them to a [`CommandSink`] only when all of them are good.
//!
//! Rules that are easy to miss:
//! - What a pointer of the route points into must be JSON as a whole (RFC 8259), at most 128 levels deep; what no
//!   pointer points into is not looked at. Of members with the same name the last one counts.
//! - `id`, `type`, `source_id` and, where a channel uses it, `source_type` must be there. Extra fields need not,
//!   unless a channel uses them.
//! - Half a surrogate pair (`"\ud83d"` alone) is no text: `invalid_json` in a needed value, left out and counted in
//!   an extra field, ignored elsewhere.
//! - A channel's segments are what lies between the colons once it is rendered, those out of values included.

mod channel;
mod compile;
mod deriver;
mod envelope;
mod extract;
mod notification;
mod pass_on;
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
mod wanted;

pub use compile::RESERVED_FIELDS;
pub use deriver::{CommandSink, Deriver, IsDenied, Limits, Options};
pub use pass_on::{PassOn, PassedHeader};
pub use reason::{Derivation, MAX_DETAIL_BYTES, Reason, Rejection, Skip};
pub use route::{MAX_CHANNELS, Route};
pub use router::{RouteProblem, Router};
pub use spec::RouteSpec;
pub use template::MAX_CHANNEL_BYTES;
pub use wanted::Wanted;
