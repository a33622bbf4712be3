//! One connection to Redis: TCP, TLS or a Unix socket, authenticated, its role known.
//!
//! The path of a record writes finished protocol bytes and counts replies, which no client crate offers without
//! copying; the `redis` crate parses the URL and serves everything off that path.

use std::sync::Arc;
use std::time::Duration;

use redis::{ConnectionAddr, ConnectionInfo, RedisConnectionInfo};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::error::{ErrorClass, Fault};
use super::flight::confirm_master;
use super::resp::{self, Reply};

/// Connecting and authenticating may take this long.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// An idle connection is probed by TCP after this long, so that a peer that vanished is noticed.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// Data that isn't acknowledged for this long ends the connection (`TCP_USER_TIMEOUT`).
const USER_TIMEOUT: Duration = Duration::from_secs(10);
/// How much is read at once.
const READ_BYTES: usize = 64 * 1024;

/// Where Redis is and how to log in.
#[derive(Clone)]
pub struct Target {
    info: ConnectionInfo,
    tls: Option<Arc<rustls::ClientConfig>>,
}

impl Target {
    /// Prepares connecting; for `rediss://` this reads the system's certificates (or those that `SSL_CERT_FILE`
    /// names).
    pub fn new(info: ConnectionInfo) -> Result<Self, Fault> {
        let tls = match info.addr() {
            ConnectionAddr::TcpTls { insecure: true, .. } => {
                return Err(Fault::new(
                    ErrorClass::Io,
                    "#insecure is not supported: name the certificate in the environment variable SSL_CERT_FILE",
                ));
            }
            ConnectionAddr::TcpTls { .. } => Some(tls_config()?),
            _ => None,
        };
        Ok(Self { info, tls })
    }

    /// The address without credentials: the label `node`, and what logs say.
    pub fn node(&self) -> String {
        self.info.addr().to_string()
    }

    /// Opens a connection for another kind of client, which logs in itself.
    pub async fn open(&self) -> Result<Stream, Fault> {
        match timeout(CONNECT_TIMEOUT, open(self)).await {
            Ok(halves) => halves.map(|(reader, writer)| tokio::io::join(reader, writer)),
            Err(_) => Err(self.no_answer()),
        }
    }

    /// User and password.
    pub fn credentials(&self) -> &RedisConnectionInfo {
        self.info.redis_settings()
    }

    /// It doesn't answer in time.
    pub fn no_answer(&self) -> Fault {
        Fault::new(
            ErrorClass::Timeout,
            format!("{} did not answer within {CONNECT_TIMEOUT:?}", self.node()),
        )
    }
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.node())
    }
}

fn tls_config() -> Result<Arc<rustls::ClientConfig>, Fault> {
    let mut roots = rustls::RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        return Err(Fault::new(
            ErrorClass::Io,
            "no certificates found for TLS: install ca-certificates",
        ));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Fault::new(ErrorClass::Io, error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// An open connection.
pub struct Link {
    pub(super) reader: Box<dyn AsyncRead + Send + Unpin>,
    pub(super) writer: Box<dyn AsyncWrite + Send + Unpin>,
    /// What was read and not yet understood.
    pub(super) buffer: Vec<u8>,
    /// The version that the server reports; empty before Redis 6.
    pub version: String,
    /// Whether the server knows HELLO and so tells its role. Redis before 6 and some proxies don't.
    pub tells_role: bool,
}

impl Link {
    /// Connects, logs in and makes sure that the server is a master.
    pub async fn connect(target: &Target) -> Result<Self, Fault> {
        match timeout(CONNECT_TIMEOUT, Self::connect_and_greet(target)).await {
            Ok(result) => result,
            Err(_) => Err(target.no_answer()),
        }
    }

    async fn connect_and_greet(target: &Target) -> Result<Self, Fault> {
        let (reader, writer) = open(target).await?;
        let mut link = Self {
            reader,
            writer,
            buffer: Vec::with_capacity(READ_BYTES),
            version: String::new(),
            tells_role: true,
        };
        link.greet(target).await?;
        Ok(link)
    }

    /// HELLO logs in, names the connection and reports the role in one round trip.
    async fn greet(&mut self, target: &Target) -> Result<(), Fault> {
        let settings = target.info.redis_settings();
        let mut arguments: Vec<&[u8]> = vec![b"HELLO", b"2"];
        if let Some(password) = settings.password() {
            let user = settings.username().unwrap_or("default");
            arguments.extend([&b"AUTH"[..], user.as_bytes(), password.as_bytes()]);
        }
        arguments.extend([&b"SETNAME"[..], b"kafka-redis-bridge"]);
        self.send(&arguments).await?;
        let version = self.receive(|reply| {
            confirm_master(reply)?;
            Ok(resp::field(reply, b"version").map(|v| String::from_utf8_lossy(v).into_owned()))
        });
        match version.await {
            Ok(version) => self.version = version.unwrap_or_default(),
            Err(fault) if is_unknown_command(&fault) => {
                self.tells_role = false;
                self.authenticate_old(target).await?;
            }
            Err(fault) => return Err(fault),
        }
        Ok(())
    }

    /// Before Redis 6 there is no HELLO.
    async fn authenticate_old(&mut self, target: &Target) -> Result<(), Fault> {
        let Some(password) = target.info.redis_settings().password() else {
            return Ok(());
        };
        self.send(&[b"AUTH", password.as_bytes()]).await?;
        self.receive(|reply| match reply {
            Reply::Error(line) => Err(Fault::of_reply(line)),
            _ => Ok(()),
        })
        .await
    }

    /// Publishes one message and waits for the number of receivers.
    pub async fn publish(&mut self, channel: &[u8], payload: &[u8]) -> Result<i64, Fault> {
        let exchange = async {
            self.send(&[b"PUBLISH", channel, payload]).await?;
            self.receive(|reply| match reply {
                Reply::Integer(receivers) => Ok(*receivers),
                Reply::Error(line) => Err(Fault::of_reply(line)),
                _ => Err(Fault::new(
                    ErrorClass::Protocol,
                    "PUBLISH was not answered by a number",
                )),
            })
            .await
        };
        match timeout(CONNECT_TIMEOUT, exchange).await {
            Ok(result) => result,
            Err(_) => Err(Fault::new(
                ErrorClass::Timeout,
                format!("no answer within {CONNECT_TIMEOUT:?}"),
            )),
        }
    }

    async fn send(&mut self, arguments: &[&[u8]]) -> Result<(), Fault> {
        let mut command = Vec::new();
        resp::encode_command(&mut command, arguments);
        self.writer.write_all(&command).await?;
        Ok(self.writer.flush().await?)
    }

    async fn receive<T>(&mut self, read: impl FnOnce(&Reply<'_>) -> Result<T, Fault>) -> Result<T, Fault> {
        loop {
            let parsed = resp::parse(&self.buffer)
                .map_err(|error| Fault::new(ErrorClass::Protocol, error.to_string()))?;
            if let Some((reply, length)) = parsed {
                let result = read(&reply);
                self.buffer.drain(..length);
                return result;
            }
            if self.reader.read_buf(&mut self.buffer).await? == 0 {
                return Err(closed());
            }
        }
    }
}

/// The peer has ended the connection.
pub(super) fn closed() -> Fault {
    Fault::new(ErrorClass::Io, "Redis closed the connection")
}

/// `-ERR unknown command` or `-ERR unknown subcommand`: the server knows no HELLO.
fn is_unknown_command(fault: &Fault) -> bool {
    fault.class == ErrorClass::Other && fault.message.starts_with("ERR unknown command")
}

type Reader = Box<dyn AsyncRead + Send + Unpin>;
type Writer = Box<dyn AsyncWrite + Send + Unpin>;
type Halves = (Reader, Writer);
/// A connection as one piece.
pub type Stream = tokio::io::Join<Reader, Writer>;

async fn open(target: &Target) -> Result<Halves, Fault> {
    match (target.info.addr(), &target.tls) {
        (ConnectionAddr::Tcp(host, port), _) => {
            let (reader, writer) = tcp(host, *port).await?.into_split();
            Ok((Box::new(reader), Box::new(writer)))
        }
        (ConnectionAddr::TcpTls { host, port, .. }, Some(config)) => {
            let name = ServerName::try_from(host.clone())
                .map_err(|error| Fault::new(ErrorClass::Io, format!("{host}: {error}")))?;
            let stream = tcp(host, *port).await?;
            let stream = tokio_rustls::TlsConnector::from(Arc::clone(config))
                .connect(name, stream)
                .await?;
            let (reader, writer) = tokio::io::split(stream);
            Ok((Box::new(reader), Box::new(writer)))
        }
        (ConnectionAddr::Unix(path), _) => {
            let (reader, writer) = UnixStream::connect(path).await?.into_split();
            Ok((Box::new(reader), Box::new(writer)))
        }
        _ => Err(Fault::new(
            ErrorClass::Io,
            "this kind of address is not supported",
        )),
    }
}

async fn tcp(host: &str, port: u16) -> Result<TcpStream, Fault> {
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    let socket = socket2::SockRef::from(&stream);
    socket.set_tcp_keepalive(
        &socket2::TcpKeepalive::new()
            .with_time(KEEPALIVE)
            .with_interval(KEEPALIVE),
    )?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    Ok(stream)
}
