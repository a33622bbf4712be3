//! An OTLP collector that takes spans over HTTP, or doesn't.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use super::wait;

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Its spans are taken.
    Take,
    /// It is read and never answered.
    Hang,
    /// It is answered with this status, and its spans are not taken.
    Answer(u16),
    /// Its spans are taken, but for one.
    RejectOne,
}

/// A span that was taken, and whose it is.
#[derive(Debug, Clone)]
pub struct Taken {
    /// The attributes of the resource.
    pub resource: Vec<KeyValue>,
    /// The span.
    pub span: Span,
}

impl Taken {
    /// An attribute of the span.
    pub fn attribute(&self, key: &str) -> Option<Value> {
        attribute(&self.span.attributes, key)
    }

    /// How many records its batch had.
    pub fn records(&self) -> usize {
        match self.attribute("messaging.batch.message_count") {
            Some(Value::IntValue(count)) => usize::try_from(count).unwrap(),
            other => panic!("messaging.batch.message_count is {other:?}"),
        }
    }
}

/// The value of an attribute.
pub fn attribute(attributes: &[KeyValue], key: &str) -> Option<Value> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    found.value.clone()?.value
}

struct Shared {
    mode: Mutex<Mode>,
    taken: Mutex<Vec<Taken>>,
    connections: AtomicUsize,
    requests: AtomicUsize,
}

/// Listens on a loopback port of its own; ends on drop.
pub struct Collector {
    shared: Arc<Shared>,
    address: SocketAddr,
    /// Everything runs here.
    _runtime: tokio::runtime::Runtime,
}

impl Collector {
    /// A collector that takes everything.
    pub fn start() -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").unwrap())
    }

    /// The same at an address where none was before.
    pub fn start_at(address: SocketAddr) -> Self {
        Self::on(TcpListener::bind(address).unwrap())
    }

    /// A loopback address where nobody listens.
    pub fn nowhere() -> SocketAddr {
        TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
    }

    fn on(listener: TcpListener) -> Self {
        let address = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        let shared = Arc::new(Shared {
            mode: Mutex::new(Mode::Take),
            taken: Mutex::new(Vec::new()),
            connections: AtomicUsize::new(0),
            requests: AtomicUsize::new(0),
        });
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        runtime.spawn(accept(listener, Arc::clone(&shared)));
        Self {
            shared,
            address,
            _runtime: runtime,
        }
    }

    /// What a configuration says to come here.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Changes what becomes of requests from now on.
    pub fn set(&self, mode: Mode) {
        *self.shared.mode.lock().unwrap() = mode;
    }

    /// The spans so far.
    pub fn taken(&self) -> Vec<Taken> {
        self.shared.taken.lock().unwrap().clone()
    }

    /// How many connections were accepted.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// How many requests came, whatever became of them.
    pub fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::SeqCst)
    }

    /// How many records the batches of the spans had.
    pub fn records(&self) -> usize {
        self.taken().iter().map(Taken::records).sum()
    }

    /// Waits until spans tell of that many records, and returns them.
    #[track_caller]
    pub fn wait_records(&self, count: usize, deadline: Duration) -> Vec<Taken> {
        let what = format!("spans of {count} records");
        wait::until_true(&what, deadline, || self.records() >= count);
        assert_eq!(self.records(), count, "records that spans tell of");
        self.taken()
    }

    /// Waits until that many requests have come.
    #[track_caller]
    pub fn wait_requests(&self, count: usize, deadline: Duration) {
        let what = format!("{count} requests");
        wait::until_true(&what, deadline, || self.requests() >= count);
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    while let Ok((stream, _)) = listener.accept().await {
        shared.connections.fetch_add(1, Ordering::SeqCst);
        let shared = Arc::clone(&shared);
        let serve = service_fn(move |request| answer(Arc::clone(&shared), request));
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), serve));
    }
}

async fn answer(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    assert_eq!(
        (request.method().as_str(), request.uri().path()),
        ("POST", "/v1/traces")
    );
    assert_eq!(request.headers()["content-type"], "application/x-protobuf");
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let mut taken = spans(&ExportTraceServiceRequest::decode(body).unwrap());
    shared.requests.fetch_add(1, Ordering::SeqCst);
    let mode = *shared.mode.lock().unwrap();
    let mut answer = ExportTraceServiceResponse::default();
    match mode {
        Mode::Take => {}
        Mode::Hang => std::future::pending().await,
        Mode::Answer(status) => {
            let response = Response::builder().status(status);
            return Ok(response.body(Full::default()).unwrap());
        }
        Mode::RejectOne => {
            taken.pop();
            answer.partial_success = Some(ExportTracePartialSuccess {
                rejected_spans: 1,
                error_message: "one too many".to_owned(),
            });
        }
    }
    shared.taken.lock().unwrap().extend(taken);
    Ok(Response::new(Full::new(answer.encode_to_vec().into())))
}

fn spans(request: &ExportTraceServiceRequest) -> Vec<Taken> {
    let mut taken = Vec::new();
    for of_resource in &request.resource_spans {
        let resource = &of_resource.resource.as_ref().unwrap().attributes;
        let spans = of_resource.scope_spans.iter().flat_map(|scope| &scope.spans);
        taken.extend(spans.map(|span| Taken {
            resource: resource.clone(),
            span: span.clone(),
        }));
    }
    taken
}
