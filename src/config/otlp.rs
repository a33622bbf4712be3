//! `[trace.otlp]`: the collector that spans are sent to.

use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize};
use url::Url;

use super::problem::Problems;
use crate::trace::collector::{Collector, TRACES_PATH};

/// The `[trace.otlp]` section.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Otlp {
    /// The collector: what OTLP calls the base URL, to which `/v1/traces` is added. Without one nothing is exported.
    #[serde(deserialize_with = "endpoint", serialize_with = "super::or_unset")]
    pub endpoint: Option<Url>,
    /// The attribute `service.name` of the spans.
    pub service_name: String,
}

impl Default for Otlp {
    fn default() -> Self {
        Self {
            endpoint: None,
            service_name: env!("CARGO_PKG_NAME").to_owned(),
        }
    }
}

impl Otlp {
    /// Where spans are sent, if anywhere.
    pub fn collector(&self) -> Option<Collector> {
        let url = self.endpoint.as_ref()?;
        Some(Collector {
            authority: format!("{}:{}", url.host()?, url.port_or_known_default()?),
            path: format!("{}{TRACES_PATH}", url.path().trim_end_matches('/')),
        })
    }

    pub(super) fn check(&self, problems: &mut Problems) {
        if self.service_name.is_empty() {
            problems.add("trace.otlp.service_name", "is empty; name the service");
        }
    }
}

fn endpoint<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Url>, D::Error> {
    const WRITE: &str = "write http://HOST:PORT, such as \"http://localhost:4318\"";
    let text = String::deserialize(deserializer)?;
    let url =
        Url::parse(&text).map_err(|error| D::Error::custom(format!("is not a URL: {error}; {WRITE}")))?;
    match fault(&url) {
        Some(fault) => Err(D::Error::custom(format!("{fault}; {WRITE}"))),
        None => Ok(Some(url)),
    }
}

/// Why spans can't be sent there.
fn fault(url: &Url) -> Option<&'static str> {
    if url.scheme() == "https" {
        Some(
            "https is not supported: a collector next to the bridge takes plain HTTP, and can send on by TLS",
        )
    } else if url.scheme() != "http" {
        Some("the scheme is not http: spans are sent by OTLP over HTTP")
    } else if !url.username().is_empty() || url.password().is_some() {
        Some("a user and password are not supported: a collector next to the bridge needs none")
    } else if url.query().is_some() || url.fragment().is_some() {
        Some("the URL of a collector has no `?` and no `#`")
    } else if url.path().trim_end_matches('/').ends_with(TRACES_PATH) {
        Some("leave out /v1/traces, which is added")
    } else {
        None
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_traces_is_added_to_the_base_url() {
        let collector = |text| {
            let endpoint = Some(Url::parse(text).unwrap());
            let otlp = Otlp {
                endpoint,
                ..Otlp::default()
            };
            otlp.collector().unwrap().to_string()
        };
        assert_eq!(
            collector("http://localhost:4318"),
            "http://localhost:4318/v1/traces"
        );
        assert_eq!(collector("http://[::1]:4318/"), "http://[::1]:4318/v1/traces");
        assert_eq!(
            collector("http://collector/a/b/"),
            "http://collector:80/a/b/v1/traces"
        );
        assert_eq!(Otlp::default().collector(), None);
    }
}
