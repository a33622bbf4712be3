//! One request to an OTLP collector, by the rules of OTLP over HTTP
//! (<https://opentelemetry.io/docs/specs/otlp/#otlphttp>).

use std::fmt;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// What is added to a collector's base URL.
pub const TRACES_PATH: &str = "/v1/traces";

/// One request may take this long, from connecting to the end of the answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// The most of an answer that is read.
const MAX_ANSWER_BYTES: usize = 64 << 10;
/// How much of a collector's own words is told.
const MAX_TOLD_CHARS: usize = 200;

/// Where the collector is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collector {
    /// Host and port.
    pub authority: String,
    /// The path of the traces.
    pub path: String,
}

impl fmt::Display for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority, self.path)
    }
}

/// Why spans were not taken.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ExportError {
    /// It may succeed later.
    #[error("{0}")]
    Unavailable(String),
    /// The collector doesn't want them, now or later.
    #[error("{0}")]
    Refused(String),
    /// It has taken the others.
    #[error("it rejects {spans} spans: {why:?}")]
    Rejected {
        /// How many it doesn't want.
        spans: u64,
        /// In its own words.
        why: String,
    },
}

impl Collector {
    /// Sends one request over a connection of its own.
    ///
    /// # Errors
    /// See [`ExportError`].
    pub async fn post(&self, body: Bytes) -> Result<(), ExportError> {
        let late = |_| ExportError::Unavailable(format!("no answer within {REQUEST_TIMEOUT:?}"));
        timeout(REQUEST_TIMEOUT, self.exchange(body))
            .await
            .map_err(late)?
    }

    async fn exchange(&self, body: Bytes) -> Result<(), ExportError> {
        let stream = TcpStream::connect(&self.authority).await.map_err(unavailable)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(unavailable)?;
        let request = self.request(body)?;
        let answered = async {
            let answer = sender.send_request(request).await.map_err(unavailable)?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect().await;
            let body = body.map_err(|error| ExportError::Unavailable(error.to_string()))?;
            read_answer(status, &body.to_bytes())
        };
        // The connection's own errors are those of the request; it ends together with it.
        let driven = async {
            let _ = connection.await;
            std::future::pending().await
        };
        tokio::select! { answer = answered => answer, never = driven => never }
    }

    fn request(&self, body: Bytes) -> Result<Request<Full<Bytes>>, ExportError> {
        Request::post(&self.path)
            .header(HOST, &self.authority)
            .header(CONTENT_TYPE, "application/x-protobuf")
            .header(
                USER_AGENT,
                concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")),
            )
            .body(Full::new(body))
            .map_err(|error| ExportError::Refused(error.to_string()))
    }
}

fn unavailable(error: impl std::error::Error) -> ExportError {
    ExportError::Unavailable(error.to_string())
}

/// What the answer says: which statuses are worth another attempt, and that a success may reject some of the spans.
fn read_answer(status: StatusCode, body: &[u8]) -> Result<(), ExportError> {
    match status {
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Err(ExportError::Unavailable(format!("it answers {status}"))),
        status if status.is_success() => {
            let answer = ExportTraceServiceResponse::decode(body)
                .map_err(|_| ExportError::Refused("its answer is not OTLP".to_owned()))?;
            let partial = answer.partial_success.unwrap_or_default();
            match u64::try_from(partial.rejected_spans) {
                Err(_) | Ok(0) => Ok(()),
                Ok(spans) => Err(ExportError::Rejected {
                    spans,
                    why: partial.error_message.chars().take(MAX_TOLD_CHARS).collect(),
                }),
            }
        }
        status => Err(ExportError::Refused(format!("it answers {status}"))),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTracePartialSuccess;

    fn partial(rejected_spans: i64) -> Vec<u8> {
        let partial_success = Some(ExportTracePartialSuccess {
            rejected_spans,
            error_message: "too old\n".to_owned() + &"x".repeat(MAX_TOLD_CHARS),
        });
        ExportTraceServiceResponse { partial_success }.encode_to_vec()
    }

    #[test]
    fn an_answer_is_read_by_the_rules_of_otlp() {
        for body in [vec![], partial(0), partial(-1)] {
            assert_eq!(read_answer(StatusCode::OK, &body), Ok(()));
        }
        for status in [429, 502, 503, 504] {
            let answer = read_answer(StatusCode::from_u16(status).unwrap(), b"");
            assert!(matches!(answer, Err(ExportError::Unavailable(_))), "{status}");
        }
        for status in [301, 400, 401, 404, 500] {
            let answer = read_answer(StatusCode::from_u16(status).unwrap(), b"");
            assert!(matches!(answer, Err(ExportError::Refused(_))), "{status}");
        }
        let answer = read_answer(StatusCode::OK, b"<html>");
        assert!(matches!(answer, Err(ExportError::Refused(_))));
    }

    #[test]
    fn what_is_rejected_is_told_on_one_short_line() {
        let answer = read_answer(StatusCode::OK, &partial(3)).unwrap_err();
        let expected = format!(
            r#"it rejects 3 spans: "too old\n{}""#,
            "x".repeat(MAX_TOLD_CHARS - 8)
        );
        assert_eq!(answer.to_string(), expected);
    }
}
