//! The HTTP side: `/metrics`, `/livez`, `/readyz`, `/status` with its schema, and a page at `/`. Read-only, no secrets,
//! bounded.
//!
//! [`answer`] is the whole of it without a socket; [`serve`] puts it on one.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

use super::health::Health;
use super::history::History;
use super::metrics::Metrics;
use super::page;
use super::status::{Document, Identity, SCHEMA, SharedStatus};

/// Connections served at once; more wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 64;
/// A request's head must arrive within this time.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// A request's head may be this large.
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// Requests under way are given this long at the end.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

/// What the routes read from.
#[derive(Debug, Clone)]
pub struct Views {
    /// `/metrics`.
    pub metrics: Metrics,
    /// `/livez`, `/readyz`.
    pub health: Arc<Health>,
    /// `/status`.
    pub status: SharedStatus,
    /// `/status`, what happened in the last minute; filled while [`serve`] runs.
    pub history: History,
    /// `/status`, what never changes.
    pub identity: Identity,
}

type Answer = Response<Full<Bytes>>;

/// Answers one request.
pub fn answer(views: &Views, method: &Method, path: &str) -> Answer {
    if method != Method::GET && method != Method::HEAD {
        let refused = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
        return with(refused, ALLOW, "GET, HEAD");
    }
    match path {
        "/metrics" => match views.metrics.render() {
            Ok(body) => typed(StatusCode::OK, prometheus::TEXT_FORMAT, body),
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
        },
        "/livez" => probe(views.health.not_alive().map(str::to_owned), "alive"),
        "/readyz" => probe(views.health.not_ready(), "ready"),
        "/status" => match serde_json::to_string(&document(views)) {
            Ok(body) => typed(StatusCode::OK, "application/json", body + "\n"),
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
        },
        "/status/schema" => typed(StatusCode::OK, "application/schema+json", SCHEMA),
        "/" => {
            let body = page::render(&document(views));
            let answer = typed(StatusCode::OK, "text/html; charset=utf-8", body);
            let answer = with(answer, CONTENT_SECURITY_POLICY, page::content_security_policy());
            with(answer, REFERRER_POLICY, "no-referrer")
        }
        _ => text(
            StatusCode::NOT_FOUND,
            "there is /metrics, /livez, /readyz, /status, /status/schema and /\n",
        ),
    }
}

fn document(views: &Views) -> Document {
    Document::now(
        &views.identity,
        &views.health,
        &views.metrics,
        &views.history,
        &views.status,
    )
}

fn probe(refusal: Option<String>, good: &str) -> Answer {
    match refusal {
        None => text(StatusCode::OK, format!("{good}\n")),
        Some(why) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    typed(status, "text/plain; charset=utf-8", body)
}

fn typed(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let response = with(response, CONTENT_TYPE, kind);
    let response = with(response, CACHE_CONTROL, "no-store");
    with(response, X_CONTENT_TYPE_OPTIONS, "nosniff")
}

fn with(mut answer: Answer, name: HeaderName, value: &'static str) -> Answer {
    answer.headers_mut().insert(name, HeaderValue::from_static(value));
    answer
}

/// Binds the address, so that a port that is taken is known before anything else starts.
pub async fn bind(listen: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(listen).await
}

/// Serves until `stop` turns true, then lets the requests under way finish.
pub async fn serve(listener: TcpListener, views: Views, mut stop: watch::Receiver<bool>) {
    let views = Arc::new(views);
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let graceful = GracefulShutdown::new();
    let history = tokio::spawn(views.history.clone().keep(views.metrics.clone()));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            break;
        };
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "HTTP: accepting a connection failed");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
            () = stopped(&mut stop) => break,
        };
        let views = Arc::clone(&views);
        let service = service_fn(move |request: Request<Incoming>| {
            let answer = answer(&views, request.method(), request.uri().path());
            async move { Ok::<_, Infallible>(answer) }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(MAX_HEAD_BYTES)
            .serve_connection(TokioIo::new(stream), service);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            // A client that goes away is none of our business.
            let _ = connection.await;
            drop(place);
        });
    }
    history.abort();
    let _ = tokio::time::timeout(SHUTDOWN_TIMEOUT, graceful.shutdown()).await;
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that nobody can say stop any more, which is the same.
    let _ = stop.wait_for(|stop| *stop).await;
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::observe::health::Phase;
    use crate::publish::error::{ErrorClass, Fault};
    use crate::publish::health::NodeHealth;

    fn views() -> (Views, Arc<NodeHealth>) {
        let (metrics, _ledger) = Metrics::new().unwrap();
        let node = Arc::new(NodeHealth::new("localhost:6379", metrics.node("localhost:6379")));
        let health = Arc::new(Health::new(Arc::clone(&node)));
        let identity = Identity {
            group_id: "g".into(),
            mode: "best_effort",
            dlq_topic: "g.dlq".into(),
            started: std::time::Instant::now(),
        };
        (
            Views {
                metrics,
                health,
                status: SharedStatus::default(),
                history: History::default(),
                identity,
            },
            node,
        )
    }

    fn status(views: &Views, path: &str) -> u16 {
        answer(views, &Method::GET, path).status().as_u16()
    }

    #[test]
    fn readiness_needs_the_group_and_one_answer_of_redis() {
        let (views, node) = views();
        assert_eq!(status(&views, "/readyz"), 503);
        views.health.enter(Phase::Joined);
        assert_eq!(status(&views, "/readyz"), 503);
        node.connected("7.0");
        assert_eq!(status(&views, "/readyz"), 200);
    }

    #[test]
    fn a_later_outage_of_redis_leaves_it_ready_but_a_wrong_password_does_not() {
        let (views, node) = views();
        views.health.enter(Phase::Joined);
        node.connected("7.0");
        node.failed(&Fault::new(ErrorClass::Io, "refused"), 1);
        assert_eq!(status(&views, "/readyz"), 200);
        node.failed(&Fault::new(ErrorClass::WrongPass, "no"), 1);
        assert_eq!(status(&views, "/readyz"), 503);
        node.published();
        assert_eq!(status(&views, "/readyz"), 200);
    }

    #[test]
    fn draining_is_not_ready_but_alive() {
        let (views, node) = views();
        node.connected("7.0");
        views.health.enter(Phase::Draining);
        assert_eq!(status(&views, "/readyz"), 503);
        assert_eq!(status(&views, "/livez"), 200);
    }

    #[test]
    fn only_reading_is_allowed() {
        let (views, _node) = views();
        assert_eq!(answer(&views, &Method::POST, "/metrics").status(), 405);
        assert_eq!(status(&views, "/metrics"), 200);
        assert_eq!(status(&views, "/status"), 200);
        assert_eq!(status(&views, "/"), 200);
        assert_eq!(status(&views, "/etc/passwd"), 404);
    }
}
