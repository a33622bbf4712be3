//! The way from Kafka: the consumer of the group, which partitions it has, and where each of them starts.
//!
//! [`client`] builds clients and [`context`] queues what librdkafka reports; [`start`] is the pure rule for start
//! positions and [`resolve`] carries it out beside the polling thread, asking brokers for [`offsets`]; what it answers is
//! [`resolved`]. [`topics`] says what is consumed, [`assignment`] is the table of partitions, and [`records`] takes what
//! was fetched of them. [`range`] reads a part of a topic without the group, for commands; [`extent`] and [`peek`] ask
//! about logs, for lag.

pub mod assignment;
pub mod client;
pub mod context;
pub mod extent;
pub mod message;
pub mod offsets;
pub mod peek;
pub mod range;
mod reader;
pub mod records;
pub mod resolve;
pub mod resolved;
pub mod span;
pub mod start;
pub mod topics;
