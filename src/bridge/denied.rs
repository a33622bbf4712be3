//! Channels that Redis is known to refuse: records for them need not be tried one by one.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// So many channels are remembered; beyond that, refusals are found out one by one again.
const MAX_CHANNELS: usize = 4096;
/// A refusal is believed for this long; then the channel gets another chance.
const BELIEVED_FOR: Duration = Duration::from_secs(10);

/// While channels are refused, one of them is named in the log this often.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// Known refusals.
#[derive(Debug, Default)]
pub struct DeniedChannels {
    /// When each is forgotten.
    until: HashMap<Vec<u8>, Instant>,
    /// When one was last named in the log.
    told: Option<Instant>,
}

impl DeniedChannels {
    /// Whether nothing is known to be refused.
    pub fn is_empty(&self) -> bool {
        self.until.is_empty()
    }

    /// Whether `channel` is refused.
    pub fn contains(&self, channel: &[u8]) -> bool {
        self.until.contains_key(channel)
    }

    /// Remembers a refusal. Returns whether it is time to tell one.
    pub fn insert(&mut self, channel: Vec<u8>, now: Instant) -> bool {
        if self.until.len() < MAX_CHANNELS {
            self.until.insert(channel, now + BELIEVED_FOR);
        }
        let due = self.told.is_none_or(|at| now.duration_since(at) >= TELL_EVERY);
        if due {
            self.told = Some(now);
        }
        due
    }

    /// Forgets what has been believed for long enough.
    pub fn expire(&mut self, now: Instant) {
        self.until.retain(|_, until| *until > now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_forgotten_after_a_while() {
        let mut denied = DeniedChannels::default();
        let now = Instant::now();
        assert!(denied.insert(b"a".to_vec(), now));
        denied.expire(now + BELIEVED_FOR / 2);
        assert!(denied.contains(b"a"));
        denied.expire(now + BELIEVED_FOR);
        assert!(denied.is_empty());
    }

    #[test]
    fn refusals_are_told_one_in_a_while() {
        let mut denied = DeniedChannels::default();
        let now = Instant::now();
        assert!(denied.insert(b"a".to_vec(), now));
        assert!(!denied.insert(b"b".to_vec(), now + TELL_EVERY / 2));
        assert!(denied.insert(b"b".to_vec(), now + TELL_EVERY));
    }
}
