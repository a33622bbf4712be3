//! Trace context of the records: what it looks like, and what is passed on.
//!
//! [`context`] reads W3C Trace Context and is pure. A notification passes on the context of its record as it is: the
//! bridge puts no span of its own between the producer's and the subscriber's.

pub mod context;
