//! A TCP proxy that knows no protocol, in front of Kafka: it passes, delays, swallows or refuses.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::acceptor::Acceptor;

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
}

/// Listens on a loopback port of its own; ends on drop.
pub struct Gateway {
    shared: Arc<Shared>,
    acceptor: Acceptor,
}

impl Gateway {
    /// A gateway that leads nowhere yet.
    pub fn start() -> Self {
        let shared = Arc::new(Shared {
            to: Mutex::new(None),
            way: Mutex::new(Way::Open),
            streams: Mutex::default(),
        });
        let acceptor = Acceptor::start({
            let shared = Arc::clone(&shared);
            move |client| connect(client, &shared)
        });
        Self { shared, acceptor }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.acceptor.address()
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
        self.set(Way::Shut);
    }
}

fn connect(client: TcpStream, shared: &Arc<Shared>) {
    let to = *shared.to.lock().unwrap();
    let is_shut = *shared.way.lock().unwrap() == Way::Shut;
    let Some(server) = to.filter(|_| !is_shut).and_then(|to| TcpStream::connect(to).ok()) else {
        return;
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
