//! Dead letters: records that can't become a notification, kept on a topic of their own.
//!
//! [`letter`] is their format, [`guard`] decides how many of them a partition may write, [`producer`] writes them,
//! [`topic`] makes sure that there is somewhere to write to. [`stored`] reads them back, [`filter`] says which of them
//! are meant. [`depth`] says how many are open, [`meter`] asks Kafka for that.

pub mod depth;
pub mod filter;
pub mod guard;
mod headers;
pub mod letter;
pub mod meter;
pub mod producer;
pub mod purge;
pub mod resolved;
pub mod stored;
pub mod topic;
