//! Publishes again: dead letters ([`letters`]), or a range of a topic ([`range`]). Both come to an end, and both tell
//! receivers with `"replayed":true`.
//!
//! [`outlet`] is their way to Redis, in batches as the service's; [`pace`] is `--rate`.

pub mod letters;
pub mod outlet;
pub mod pace;
pub mod range;
