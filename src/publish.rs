//! The way to Redis: a batch of finished protocol bytes, the connection that carries it, and what a failure means.
//!
//! [`batch`], [`resp`] and [`error`] are pure. [`link`] is one connection, [`writer`] sends batches over it in order,
//! `outage` decides what a failure does to them, [`verdict`] says what became of each, and [`health`] is what others
//! may know of it. All of it belongs to one Redis *node*.

mod answers;
pub mod batch;
pub mod error;
mod flight;
mod gap;
pub mod health;
pub mod link;
mod outage;
pub mod resp;
pub mod verdict;
pub mod writer;
