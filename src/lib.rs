//! Tails Kafka topics as a consumer group, derives a lightweight notification from each record and publishes it to
//! Redis. ARCHITECTURE.md tells the flow and what always holds; this is the map, in the order of a record's way:
//!
//! | module | what it does |
//! |---|---|
//! | [`config`] | the configuration: file, environment, flags |
//! | [`bridge`] | wires the stages; the only module that knows them all |
//! | [`source`] | the consumer of the group: assignment, start positions |
//! | [`record`] | what came from Kafka, borrowed |
//! | [`trace`] | trace context of the records, spans of the batches |
//! | [`derive`](mod@derive) | record → channels and notification; pure |
//! | [`publish`] | batches → Redis |
//! | [`progress`] | which offsets are settled; pure |
//! | [`dlq`] | dead letters |
//! | [`replay`] | publishes again: dead letters, or a range of a topic |
//! | [`observe`] | metrics, health, status, logs |
//! | [`commands`] | one file for each command |
//! | [`exit`] | exit codes |

pub mod bridge;
pub mod commands;
pub mod config;
pub mod derive;
pub mod dlq;
pub mod exit;
pub mod observe;
pub mod progress;
pub mod publish;
pub mod record;
pub mod replay;
pub mod source;
pub mod trace;
