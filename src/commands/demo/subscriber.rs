//! The subscriber: what a WebSocket backend behind Redis would hear.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use jiff::Timestamp;
use redis::aio::PubSubStream;
use serde::Deserialize;

use super::tally::Tally;
use super::view::View;
use crate::exit::Failure;

/// Every channel of the default envelope.
const PATTERN: &str = "events:*";

/// A notification as the default envelope makes it.
#[derive(Debug, Deserialize)]
struct Notification {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    occurred_at: Timestamp,
}

/// Subscribes; what is published from now on is heard.
pub async fn subscribe(url: &str) -> Result<PubSubStream, Failure> {
    let failure = |error: redis::RedisError| Failure::unavailable(format!("subscriber: {error}"));
    let client = redis::Client::open(url).map_err(failure)?;
    let mut connection = client.get_async_pubsub().await.map_err(failure)?;
    connection.psubscribe(PATTERN).await.map_err(failure)?;
    Ok(connection.into_on_message())
}

/// Tallies and shows what is heard, until Redis is gone.
pub async fn listen(mut notifications: PubSubStream, tally: Arc<Tally>, view: Arc<View>) {
    while let Some(message) = notifications.next().await {
        let Ok(notification) = serde_json::from_slice::<Notification>(message.get_payload_bytes()) else {
            tally.heard(None, Duration::ZERO);
            continue;
        };
        let latency = Timestamp::now().duration_since(notification.occurred_at);
        let latency = Duration::try_from(latency).unwrap_or_default();
        tally.heard(notification.id.parse().ok(), latency);
        view.notification(
            latency,
            message.get_channel_name(),
            &notification.kind,
            &notification.id,
        );
    }
}
