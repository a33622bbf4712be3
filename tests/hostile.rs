//! Input that nobody should send: the corpus of malformed records, and for a moment what the fuzz targets do for long.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "checks"]
mod checks {
    pub mod configuration;
    pub mod derive;
    pub mod json;
    pub mod judge;
    pub mod notes;
    pub mod replies;
}
#[path = "hostile/corpus.rs"]
mod corpus;
#[path = "hostile/generated.rs"]
mod generated;
#[path = "hostile/properties.rs"]
mod properties;
mod support;
