//! What the service shows of itself: metrics in one place, the books that balance, health and status over HTTP.

pub mod books;
pub mod health;
pub mod http;
pub mod lag;
pub mod logging;
pub mod metrics;
pub mod queue;
pub mod status;
