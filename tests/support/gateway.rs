//! A TCP proxy that knows no protocol, in front of Kafka: it passes, delays, swallows or refuses.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// What happens to the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Everything passes.
    Open,
    /// Each piece waits this long.
    Slow(Duration),
    /// Nothing passes and nobody is told. What was swallowed is never made good: such connections are cut at the end.
    Silent,
    /// Connections are cut, and new ones too.
    Shut,
}

struct Shared {
    to: Mutex<Option<SocketAddr>>,
    way: Mutex<Way>,
    streams: Mutex<Vec<TcpStream>>,
    stop: AtomicBool,
}

/// Listens on a loopback port of its own; ends on drop.
pub struct Gateway {
    shared: Arc<Shared>,
    address: SocketAddr,
    acceptor: Option<JoinHandle<()>>,
}

impl Gateway {
    /// A gateway that leads nowhere yet.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            to: Mutex::new(None),
            way: Mutex::new(Way::Open),
            streams: Mutex::default(),
            stop: AtomicBool::new(false),
        });
        let acceptor = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || accept(&listener, &shared)
        });
        Self {
            shared,
            address,
            acceptor: Some(acceptor),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it leads.
    pub fn lead_to(&self, address: SocketAddr) {
        *self.shared.to.lock().unwrap() = Some(address);
    }

    /// Changes what happens from now on.
    pub fn set(&self, way: Way) {
        let before = std::mem::replace(&mut *self.shared.way.lock().unwrap(), way);
        if way == Way::Shut || before == Way::Silent && way != Way::Silent {
            self.cut();
        }
    }

    /// Cuts the connections that exist.
    pub fn cut(&self) {
        for stream in self.shared.streams.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
        self.cut();
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for client in listener.incoming() {
        if shared.stop.load(Ordering::SeqCst) {
            return;
        }
        let Ok(client) = client else { continue };
        let to = *shared.to.lock().unwrap();
        if *shared.way.lock().unwrap() == Way::Shut {
            continue;
        }
        let Some(server) = to.and_then(|to| TcpStream::connect(to).ok()) else {
            continue;
        };
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let copy = |stream: &TcpStream| stream.try_clone().unwrap();
        let both = [copy(&client), copy(&server)];
        shared.streams.lock().unwrap().extend(both);
        for (from, to) in [(copy(&client), copy(&server)), (server, client)] {
            let shared = Arc::clone(shared);
            std::thread::spawn(move || {
                let _ = pass(&from, &to, &shared);
                let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
            });
        }
    }
}

fn pass(mut from: &TcpStream, mut to: &TcpStream, shared: &Shared) -> std::io::Result<()> {
    let mut chunk = vec![0; 1 << 16];
    loop {
        let read = from.read(&mut chunk)?;
        if read == 0 {
            return Ok(());
        }
        let way = *shared.way.lock().unwrap();
        match way {
            Way::Silent => continue,
            Way::Slow(pause) => std::thread::sleep(pause),
            Way::Open | Way::Shut => {}
        }
        to.write_all(&chunk[..read])?;
    }
}
