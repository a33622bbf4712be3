//! Publishes again: dead letters ([`letters`]). It comes to an end, and tells
//! receivers with `"replayed":true`.
//!
//! [`outlet`] is their way to Redis, in batches as the service's; [`pace`] is `--rate`.

pub mod letters;
pub mod outlet;
pub mod pace;
