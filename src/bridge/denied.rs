//! Channels that Redis is known to refuse: records for them need not be tried one by one.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// So many channels are remembered; beyond that, refusals are found out one by one again.
const MAX_CHANNELS: usize = 4096;
/// A refusal is believed for this long; then the channel gets another chance.
const BELIEVED_FOR: Duration = Duration::from_secs(10);

/// Known refusals with the time at which they are forgotten.
#[derive(Debug, Default)]
pub struct DeniedChannels(HashMap<Vec<u8>, Instant>);

impl DeniedChannels {
    /// Whether nothing is known to be refused.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `channel` is refused.
    pub fn contains(&self, channel: &[u8]) -> bool {
        self.0.contains_key(channel)
    }

    /// Remembers a refusal.
    pub fn insert(&mut self, channel: Vec<u8>, now: Instant) {
        if self.0.len() < MAX_CHANNELS {
            self.0.insert(channel, now + BELIEVED_FOR);
        }
    }

    /// Forgets what has been believed for long enough.
    pub fn expire(&mut self, now: Instant) {
        self.0.retain(|_, until| *until > now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_forgotten_after_a_while() {
        let mut denied = DeniedChannels::default();
        let now = Instant::now();
        denied.insert(b"a".to_vec(), now);
        denied.expire(now + BELIEVED_FOR / 2);
        assert!(denied.contains(b"a"));
        denied.expire(now + BELIEVED_FOR);
        assert!(denied.is_empty());
    }
}
