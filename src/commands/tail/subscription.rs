//! A subscription over the same kind of connection as the service's: TLS, keepalive and time limits included.

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use futures_util::StreamExt as _;
use redis::aio::{PubSub, PubSubSink, PubSubStream};
use redis::{ErrorKind, Msg, RedisError};
use tokio::time::{Instant, Sleep, sleep, timeout};

use crate::publish::error::{ErrorClass, Fault};
use crate::publish::link::{CONNECT_TIMEOUT, Target};

/// A server that has been silent for so long is asked whether it is there.
const SILENCE: Duration = Duration::from_secs(10);

/// What is listened to.
pub struct Wanted {
    names: Vec<String>,
    patterns: Vec<String>,
}

impl Wanted {
    /// Channels; those with a wildcard are patterns.
    pub fn of(channels: &[String]) -> Self {
        let (patterns, names) = channels
            .iter()
            .cloned()
            .partition(|c| c.contains(['*', '?', '[']));
        Self { names, patterns }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<&str> = self
            .names
            .iter()
            .chain(&self.patterns)
            .map(String::as_str)
            .collect();
        f.write_str(&all.join(", "))
    }
}

/// A connection that is subscribed.
pub struct Subscription {
    sink: PubSubSink,
    messages: PubSubStream,
    silence: Pin<Box<Sleep>>,
}

impl Subscription {
    /// Connects, logs in and subscribes. The role doesn't matter: replicas pass on what their master hears.
    pub async fn open(target: &Target, wanted: &Wanted) -> Result<Self, Fault> {
        let stream = target.open().await?;
        // Pub/Sub knows no databases, and selecting one may be forbidden.
        let credentials = target.credentials().clone().set_db(0);
        let subscribe = async {
            let mut pubsub = PubSub::new(&credentials, stream).await?;
            if !wanted.names.is_empty() {
                pubsub.subscribe(&wanted.names).await?;
            }
            if !wanted.patterns.is_empty() {
                pubsub.psubscribe(&wanted.patterns).await?;
            }
            Ok(pubsub)
        };
        let pubsub = timeout(CONNECT_TIMEOUT, subscribe)
            .await
            .map_err(|_| target.no_answer())?
            .map_err(|error| fault_of(&error))?;
        let (sink, messages) = pubsub.split();
        Ok(Self {
            sink,
            messages,
            silence: Box::pin(sleep(SILENCE)),
        })
    }

    /// The next message. After an error the subscription is of no further use.
    pub async fn next(&mut self) -> Result<Msg, Fault> {
        loop {
            tokio::select! {
                message = self.messages.next() => {
                    self.silence.as_mut().reset(Instant::now() + SILENCE);
                    return message.ok_or_else(|| Fault::new(ErrorClass::Io, "Redis closed the connection"));
                }
                () = self.silence.as_mut() => {
                    self.ask().await?;
                    self.silence.as_mut().reset(Instant::now() + SILENCE);
                }
            }
        }
    }

    /// Any answer will do, a refusal included.
    async fn ask(&mut self) -> Result<(), Fault> {
        match timeout(CONNECT_TIMEOUT, self.sink.ping::<redis::Value>()).await {
            Ok(Err(error)) if error.is_io_error() => Err(fault_of(&error)),
            Ok(_) => Ok(()),
            Err(_) => Err(Fault::new(
                ErrorClass::Timeout,
                format!("no answer within {CONNECT_TIMEOUT:?}"),
            )),
        }
    }
}

/// An error of the `redis` crate in the words of this service.
fn fault_of(error: &RedisError) -> Fault {
    match (error.kind(), error.code()) {
        // The crate keeps the server's words to itself.
        (ErrorKind::AuthenticationFailed, _) => {
            Fault::new(ErrorClass::WrongPass, "the user or the password is refused")
        }
        (ErrorKind::Io, _) => Fault::new(ErrorClass::Io, error.to_string()),
        (_, Some(code)) => {
            let line = format!("{code} {}", error.detail().unwrap_or_default());
            Fault::of_reply(line.trim_end().as_bytes())
        }
        _ => Fault::new(ErrorClass::Other, error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_makes_a_pattern() {
        let wanted = Wanted::of(&["a:b".into(), "a:*".into(), "a?".into(), "a[bc]".into()]);
        assert_eq!(wanted.names, ["a:b"]);
        assert_eq!(wanted.patterns, ["a:*", "a?", "a[bc]"]);
    }
}
