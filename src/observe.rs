//! What the service shows of itself: metrics in one place, the books that balance, health and status over HTTP, for
//! programs and as a page for people.

pub mod books;
pub mod health;
pub mod history;
pub mod http;
pub mod lag;
pub mod logging;
pub mod metrics;
mod page;
pub mod queue;
pub mod status;
pub mod verdict;
mod words;
