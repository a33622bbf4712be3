//! `[redis]`: where notifications are published.

use std::path::PathBuf;

use redis::ConnectionInfo;
use serde::{Deserialize, Serialize};

use super::names;
use super::problem::Problems;
use super::secret::Secret;
use super::url::RedisUrl;

/// The `[redis]` section.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Redis {
    /// Where Redis is; may hold user, password and database.
    pub url: RedisUrl,
    /// A file that holds the password, in place of the URL's.
    #[serde(default, serialize_with = "super::or_unset")]
    pub password_file: Option<PathBuf>,
    /// `check --connect` publishes one probe to this channel.
    #[serde(default = "probe_channel")]
    pub probe_channel: String,
    /// After an outage in which notifications were dropped, one message on this channel says so.
    #[serde(default, serialize_with = "super::or_unset")]
    pub gap_channel: Option<String>,
    #[serde(skip)]
    password: Option<Secret>,
}

fn probe_channel() -> String {
    "kafka-redis-bridge:probe".to_owned()
}

impl Redis {
    /// What a client needs to connect: the URL, with the password from `password_file` if there is one.
    pub fn connection_info(&self) -> ConnectionInfo {
        let info = self.url.connection_info().clone();
        match &self.password {
            Some(password) => {
                let settings = info.redis_settings().clone().set_password(password.expose());
                info.set_redis_settings(settings)
            }
            None => info,
        }
    }

    /// The password, from the file or the URL.
    pub fn password(&self) -> Option<&str> {
        match &self.password {
            Some(password) => Some(password.expose()),
            None => self.url.connection_info().redis_settings().password(),
        }
    }

    /// Reads the password file and checks the rest.
    pub(super) fn resolve(&mut self, problems: &mut Problems) {
        match self.password_file.as_deref().map(Secret::from_file) {
            Some(Ok(password)) if password.expose().is_empty() => {
                problems.add(
                    "redis.password_file",
                    "the file is empty; write the password into it",
                );
            }
            Some(Ok(password)) => self.password = Some(password),
            Some(Err(error)) => problems.add("redis.password_file", error),
            None if self.url.lacks_password() && !problems.is_broken("redis.password_file") => {
                let message = "names a user but no password; write redis://USER:PASSWORD@HOST, \
                               redis://:PASSWORD@HOST without a user, or set redis.password_file";
                problems.add("redis.url", message);
            }
            None => {}
        }
        let gap = self
            .gap_channel
            .as_deref()
            .map(|channel| ("redis.gap_channel", channel));
        for (key, channel) in [("redis.probe_channel", self.probe_channel.as_str())]
            .into_iter()
            .chain(gap)
        {
            if let Some(fault) = names::channel_fault(channel) {
                problems.add(key, fault);
            }
        }
    }
}
