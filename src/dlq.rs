//! Dead letters: records that can't become a notification, kept on a topic of their own.
//!
//! [`letter`] is their format, [`guard`] decides how many of them a partition may write, [`producer`] writes them,
//! [`topic`] makes sure that there is somewhere to write to.

pub mod guard;
mod headers;
pub mod letter;
pub mod producer;
pub mod topic;
