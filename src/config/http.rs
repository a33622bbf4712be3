//! `[http]`: where metrics, health and the status page are served.

use std::net::{Ipv4Addr, SocketAddr};

use serde::de::{self, Deserialize, Deserializer};
use serde::{Deserialize as DeserializeDerive, Serialize};

/// The `[http]` section.
#[derive(Debug, Clone, PartialEq, Eq, DeserializeDerive, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// The address to listen on. On the local machine alone unless another one is given; port 0 takes any free one.
    #[serde(deserialize_with = "address")]
    pub listen: SocketAddr,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 9464)),
        }
    }
}

fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| {
        de::Error::custom(format!(
            "`{text}` is not an IP address with a port; write one such as \"127.0.0.1:9464\" or \"0.0.0.0:9464\""
        ))
    })
}
