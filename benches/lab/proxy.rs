//! A network that takes its time, in front of a server on loopback: what is sent arrives half a round trip later, and the
//! first that is sent on a connection two whole ones later still (TCP and TLS).

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

/// The round trips that opening a connection takes.
const TO_CONNECT: u16 = 2;

/// The network in front of one server; it ends with the process.
pub struct Proxy {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Connection>>>,
}

struct Connection {
    opened: Instant,
    /// When the server last sent something.
    answered: Instant,
    requests: u16,
}

/// What went over the network, which the weather does not change.
pub struct Traffic {
    pub connections: usize,
    pub requests: u16,
    /// The round trips that one has to wait for another: connections that were open together count once.
    pub in_a_row: u16,
}

impl Traffic {
    fn of(connections: &[Connection]) -> Self {
        // In the order in which they were opened.
        let mut chains: Vec<u16> = Vec::new();
        for connection in connections {
            let earlier = connections.iter().zip(&chains);
            let earlier = earlier.filter(|(earlier, _)| earlier.answered < connection.opened);
            let before = earlier.map(|(_, chain)| *chain).max().unwrap_or_default();
            chains.push(before + TO_CONNECT + connection.requests);
        }
        Self {
            connections: connections.len(),
            requests: connections.iter().map(|it| it.requests).sum(),
            in_a_row: chains.into_iter().max().unwrap_or_default(),
        }
    }
}

impl Proxy {
    pub fn start(server: &str, round_trip: Duration) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let seen = Arc::<Mutex<Vec<Connection>>>::default();
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

    /// The traffic since it was last asked. Nobody may be connected.
    pub fn seen(&self) -> Traffic {
        Traffic::of(&std::mem::take(&mut *lock(&self.seen)))
    }
}

fn lock(seen: &Mutex<Vec<Connection>>) -> MutexGuard<'_, Vec<Connection>> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

fn join(
    client: &TcpStream,
    server: &str,
    round_trip: Duration,
    seen: &Arc<Mutex<Vec<Connection>>>,
) -> std::io::Result<()> {
    let server = TcpStream::connect(server)?;
    for side in [client, &server] {
        side.set_nodelay(true)?;
    }
    let now = Instant::now();
    let number = {
        let mut seen = lock(seen);
        seen.push(Connection {
            opened: now,
            answered: now,
            requests: 0,
        });
        seen.len() - 1
    };
    let open = now + round_trip * u32::from(TO_CONNECT);
    let (requests, answers) = (Arc::clone(seen), Arc::clone(seen));
    let half = round_trip / 2;
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
                change(&requests, number, |it| it.requests += 1);
            }
        },
    );
    carry(server, client.try_clone()?, open, half, move |_| {
        change(&answers, number, |it| it.answered = Instant::now());
    });
    Ok(())
}

fn change(seen: &Mutex<Vec<Connection>>, number: usize, change: impl Fn(&mut Connection)) {
    if let Some(connection) = lock(seen).get_mut(number) {
        change(connection);
    }
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
