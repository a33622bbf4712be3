//! Where Redis is. The URL may hold a password, so it is never shown as it was written.

use std::borrow::Cow;
use std::fmt;

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo};
use serde::de::{self, Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};
use url::Url;

use super::secret::MASK;

/// A Redis URL: `redis://`, `rediss://` (TLS), `unix://` or `redis+unix://`.
#[derive(Clone)]
pub struct RedisUrl {
    info: ConnectionInfo,
    masked: String,
    bare: String,
}

impl RedisUrl {
    /// Reads a URL. The error quotes nothing of it.
    pub fn parse(text: &str) -> Result<Self, String> {
        const WRITE: &str = "write redis://HOST:PORT, rediss://HOST:PORT (TLS) or unix:///PATH";
        const PASSWORD: &str = "percent-encode special characters in a password, or use redis.password_file";
        let url = Url::parse(text).map_err(|error| match text.contains('@') {
            true => format!("is not a URL: {error}; {WRITE}; {PASSWORD}"),
            false => format!("is not a URL: {error}; {WRITE}"),
        })?;
        if redis::parse_redis_url(text).is_none() {
            return Err(format!("the scheme is none that Redis clients know; {WRITE}"));
        }
        let info = text
            .into_connection_info()
            .map_err(|error| match error.detail() {
                // The detail, and a message that holds it, may quote the URL.
                Some(_) => format!("is not a URL for Redis; {WRITE}"),
                None => {
                    let error = error.to_string();
                    let reason = error.split(" - ").next().unwrap_or_default();
                    format!("is not a URL for Redis: {reason}; {WRITE}")
                }
            })?;
        if means_nothing(&url) {
            return Err(format!(
                "has something behind `?` or `#` that Redis clients would ignore; leave it out, or {PASSWORD}"
            ));
        }
        Ok(Self {
            masked: masked(&url),
            bare: bare(&url),
            info,
        })
    }

    /// What a client needs to connect, password and all.
    pub fn connection_info(&self) -> &ConnectionInfo {
        &self.info
    }

    /// Host and port, or the path of the socket.
    pub fn addr(&self) -> &ConnectionAddr {
        self.info.addr()
    }

    /// The URL without credentials.
    pub fn display(&self) -> &str {
        &self.bare
    }

    /// A user without a password: often a password that lacks its colon.
    pub(super) fn lacks_password(&self) -> bool {
        let settings = self.info.redis_settings();
        settings.username().is_some() && settings.password().is_none()
    }
}

/// Whether there are parameters or a fragment that clients ignore: mostly a password with a `?` or `#` in it, of which
/// one half would be taken for a host, and shown.
fn means_nothing(url: &Url) -> bool {
    let known: &[&str] = match url.scheme() {
        "unix" | "redis+unix" | "valkey+unix" => &["db", "user", "pass", "protocol"],
        _ => &["protocol"],
    };
    // Of TLS, `#insecure` is known, and the client itself refuses any other.
    let is_tls = matches!(url.scheme(), "rediss" | "valkeys");
    url.query_pairs().any(|(name, _)| !known.contains(&&*name)) || (url.fragment().is_some() && !is_tls)
}

/// Without user, password and parameters.
fn bare(url: &Url) -> String {
    let mut url = url.clone();
    // Fails only for URLs that have no place for a user, which need no stripping.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.into()
}

/// With a mask for whatever may be secret; the rest can be read back.
fn masked(url: &Url) -> String {
    let mut url = url.clone();
    let lone_user = !url.username().is_empty() && url.password().is_none();
    if url.password().is_some() {
        let _ = url.set_password(Some(MASK));
    } else if lone_user {
        let _ = url.set_username(MASK);
    }
    if url.query().is_some() {
        let pairs: Vec<(String, String)> = url
            .query_pairs()
            .map(|(name, value)| {
                let shown = matches!(&*name, "db" | "protocol");
                (
                    name.into_owned(),
                    if shown { value } else { Cow::Borrowed(MASK) }.into_owned(),
                )
            })
            .collect();
        url.query_pairs_mut().clear().extend_pairs(pairs);
    }
    url.into()
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.bare)
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked)
    }
}

impl Serialize for RedisUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.masked)
    }
}

impl<'de> Deserialize<'de> for RedisUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_masked_wherever_a_url_may_hold_them() {
        let cases = [
            ("redis://h", "redis://h", "redis://h"),
            (
                "redis://:s3cret@h:1/2",
                "redis://:********@h:1/2",
                "redis://h:1/2",
            ),
            (
                "rediss://u:s3cret@h/#insecure",
                "rediss://u:********@h/#insecure",
                "rediss://h/#insecure",
            ),
            ("redis://s3cret@h", "redis://********@h", "redis://h"),
            (
                "unix:///run/r.sock?db=1&pass=s3cret",
                "unix:///run/r.sock?db=1&pass=********",
                "unix:///run/r.sock",
            ),
            (
                "redis+unix:///r.sock?user=u&pass=s3cret",
                "redis+unix:///r.sock?user=********&pass=********",
                "redis+unix:///r.sock",
            ),
        ];
        for (text, masked, bare) in cases {
            let url = RedisUrl::parse(text).unwrap();
            assert_eq!(format!("{url:?}"), masked);
            assert_eq!(url.display(), bare);
            assert!(RedisUrl::parse(masked).is_ok());
        }
    }

    #[test]
    fn the_default_port_is_6379_and_tls_goes_by_the_scheme() {
        let plain = RedisUrl::parse("redis://h").unwrap();
        assert_eq!(*plain.addr(), ConnectionAddr::Tcp("h".to_owned(), 6379));
        assert!(matches!(
            RedisUrl::parse("rediss://h").unwrap().addr(),
            ConnectionAddr::TcpTls { port: 6379, .. }
        ));
        assert_eq!(
            RedisUrl::parse("redis+unix:///a/b").unwrap().addr().to_string(),
            "/a/b"
        );
    }

    #[test]
    fn an_error_quotes_nothing_of_the_url() {
        for text in [
            "s3cret",
            "s3cret:s3cret",
            "redis://",
            "redis://:s3cret@h:s3cret",
            "redis://h/s3cret",
            ":s3cret@h",
            "redis://h?protocol=s3cret",
            "http://:s3cret@h",
            "redis://:s3cret/x@h",
            "rediss://h#s3cret",
            "redis://u:1?s3cret@h",
            "redis://u:@s3cret#@h",
        ] {
            let error = RedisUrl::parse(text).unwrap_err();
            assert!(!error.contains("s3cret"), "{text}: {error}");
        }
    }
}
