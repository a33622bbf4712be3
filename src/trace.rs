//! Traces: the context that records bring along, and the spans of batches.
//!
//! [`context`] reads W3C Trace Context and [`batch`] gathers what the span of a batch tells; both are pure. A batch that
//! has ended goes through [`spans`] to [`export`], which sends it as [`otlp`] to a [`collector`], if one is configured.
//! A notification passes on the context of its record as it is, exported spans or not.

pub mod batch;
pub mod collector;
pub mod context;
pub mod export;
pub mod otlp;
pub mod spans;
