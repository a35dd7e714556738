//! A network that takes its time, in front of a server on loopback: what is sent arrives half a round trip later, and the
//! first that is sent on a connection two whole ones later still (TCP and TLS).

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

/// The round trips that opening a connection takes.
const TO_CONNECT: u32 = 2;

/// The network in front of one server; it ends with the process.
pub struct Proxy {
    address: SocketAddr,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    requests: AtomicUsize,
}

impl Proxy {
    pub fn start(server: &str, round_trip: Duration) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let seen = Arc::<Seen>::default();
        let (server, of_thread) = (server.to_owned(), Arc::clone(&seen));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // Either side may have left: that is for the other one to see.
                drop(join(&client, &server, round_trip, &of_thread));
            }
        });
        Ok(Self { address, seen })
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    /// The connections and requests since it was last asked.
    pub fn seen(&self) -> (usize, usize) {
        let connections = self.seen.connections.swap(0, Ordering::Relaxed);
        (connections, self.seen.requests.swap(0, Ordering::Relaxed))
    }
}

fn join(
    client: &TcpStream,
    server: &str,
    round_trip: Duration,
    seen: &Arc<Seen>,
) -> std::io::Result<()> {
    let server = TcpStream::connect(server)?;
    for side in [client, &server] {
        side.set_nodelay(true)?;
    }
    seen.connections.fetch_add(1, Ordering::Relaxed);
    let open = Instant::now() + round_trip * TO_CONNECT;
    let (requests, half) = (Arc::clone(seen), round_trip / 2);
    carry(
        client.try_clone()?,
        server.try_clone()?,
        open,
        half,
        move |sent| {
            if [&b"GET "[..], b"POST "]
                .iter()
                .any(|verb| sent.starts_with(verb))
            {
                requests.requests.fetch_add(1, Ordering::Relaxed);
            }
        },
    );
    carry(server, client.try_clone()?, open, half, |_| {});
    Ok(())
}

/// Carries what comes from one side to the other, in a thread for each end.
fn carry(
    mut from: TcpStream,
    mut to: TcpStream,
    open: Instant,
    half: Duration,
    see: impl Fn(&[u8]) + Send + 'static,
) {
    let (sender, receiver) = mpsc::channel::<(Instant, Vec<u8>)>();
    thread::spawn(move || {
        let mut bytes = vec![0; 64 << 10];
        while let Ok(size @ 1..) = from.read(&mut bytes) {
            see(&bytes[..size]);
            let due = Instant::now().max(open) + half;
            if sender.send((due, bytes[..size].to_vec())).is_err() {
                break;
            }
        }
    });
    thread::spawn(move || {
        for (due, bytes) in receiver {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&bytes).is_err() {
                break;
            }
        }
        drop(to.shutdown(Shutdown::Both));
    });
}
