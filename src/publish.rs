//! The way to Redis: a batch of finished protocol bytes, the connection that carries it, and what a failure means.
//!
//! [`batch`], [`resp`] and [`error`] are pure. [`link`] is one connection, [`writer`] sends batches over it in
//! order and decides what a failure does to them; [`health`] is what others may know of it. All of it belongs to
//! one Redis *node*.

pub mod batch;
pub mod error;
mod flight;
mod gap;
pub mod health;
pub mod link;
pub mod resp;
pub mod writer;
