//! A small HTTP server for bare repositories: `git http-backend` behind a socket on loopback.
//!
//! `/me/site.git` is served as it lies below the root. In front of that path `/hang` never
//! answers, `/slow` waits a little before each answer, `/auth` wants `me` and `s3cr3tt0ken`.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// `me:s3cr3tt0ken` in base64.
const LOGIN: &str = "Basic bWU6czNjcjN0dDBrZW4=";

/// A longer answer is passed on as it comes, and may be endless.
const MAX_HELD_BYTES: u64 = 1 << 20;

/// A running server. It ends with the process.
pub(crate) struct Origin {
    address: SocketAddr,
    served: Arc<Mutex<Served>>,
}

/// What is served, and the requests that hang.
#[derive(Default)]
struct Served {
    root: PathBuf,
    environment: Vec<(String, String)>,
    hung: Vec<TcpStream>,
}

impl Origin {
    pub(crate) fn start() -> io::Result<Origin> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let served = Arc::<Mutex<Served>>::default();
        let of_server = Arc::clone(&served);
        // Started where it lies: `git http-backend` is a process more for each request.
        let exec_path = Command::new("git").arg("--exec-path").output()?.stdout;
        let backend = Path::new(OsStr::from_bytes(exec_path.trim_ascii())).join("git-http-backend");
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (served, backend) = (Arc::clone(&of_server), backend.clone());
                // A client that was killed in the middle is no concern of the server's.
                thread::spawn(move || drop(answer(&stream, &served, &backend)));
            }
        });
        Ok(Origin { address, served })
    }

    /// From now on these repositories, by a git with this environment. Who still hangs is hung up on.
    pub(crate) fn serve(&self, root: &Path, environment: Vec<(String, String)>) {
        let mut served = lock(&self.served);
        for stream in served.hung.drain(..) {
            drop(stream.shutdown(Shutdown::Both));
        }
        root.clone_into(&mut served.root);
        served.environment = environment;
    }

    /// `path` may begin with one of the special prefixes.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    /// The same with a login in it, as people put tokens into remote URLs.
    pub(crate) fn url_with_login(&self, login: &str, path: &str) -> String {
        format!("http://{login}@{}/{path}", self.address)
    }

    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }
}

fn lock(served: &Mutex<Served>) -> std::sync::MutexGuard<'_, Served> {
    served.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Request {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    fn header(&self, name: &str) -> &str {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map_or("", |(_, value)| value)
    }

    /// The next one of a connection, if one comes.
    fn read(reader: &mut impl BufRead, mut stream: &TcpStream) -> io::Result<Option<Request>> {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let mut words = line.split_whitespace();
        let (method, target) = (words.next(), words.next());
        let (Some(method), Some(target)) = (method, target) else {
            return Ok(None);
        };
        let mut request = Request {
            method: method.to_owned(),
            target: target.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
        };
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else {
                break;
            };
            let pair = (name.to_owned(), value.trim().to_owned());
            request.headers.push(pair);
        }
        if request
            .header("expect")
            .eq_ignore_ascii_case("100-continue")
        {
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        if request
            .header("transfer-encoding")
            .eq_ignore_ascii_case("chunked")
        {
            loop {
                let mut size = String::new();
                reader.read_line(&mut size)?;
                let size = u64::from_str_radix(size.trim(), 16).map_err(io::Error::other)?;
                reader.take(size).read_to_end(&mut request.body)?;
                reader.read_line(&mut String::new())?;
                if size == 0 {
                    break;
                }
            }
        } else if let Ok(length) = request.header("content-length").parse() {
            reader.take(length).read_to_end(&mut request.body)?;
        }
        Ok(Some(request))
    }
}

/// Answers the requests of one connection.
fn answer(mut stream: &TcpStream, served: &Mutex<Served>, backend: &Path) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    while let Some(request) = Request::read(&mut reader, stream)? {
        let mut path = request.target.as_str();
        if let Some(rest) = path.strip_prefix("/slow") {
            thread::sleep(Duration::from_millis(100));
            path = rest;
        } else if path.starts_with("/hang/") {
            lock(served).hung.push(stream.try_clone()?);
            return stream.read_to_end(&mut Vec::new()).map(drop);
        } else if let Some(rest) = path.strip_prefix("/auth") {
            if request.header("authorization") != LOGIN {
                stream.write_all(
                    b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"git\"\r\nContent-Length: 0\r\n\r\n",
                )?;
                continue;
            }
            path = rest;
        }
        let mut backend = Command::new(backend);
        {
            let served = lock(served);
            let environment = served.environment.iter();
            backend
                .env_clear()
                .envs(environment.map(|(name, value)| (name, value)))
                .env("GIT_PROJECT_ROOT", &served.root);
        }
        match pass_on(backend, &request, path, stream)? {
            Connection::Stays => {}
            Connection::Closes => break,
        }
    }
    Ok(())
}

enum Connection {
    Stays,
    Closes,
}

/// The answer of `git http-backend`, which ends where nobody takes it.
fn pass_on(
    mut backend: Command,
    request: &Request,
    path: &str,
    stream: &TcpStream,
) -> io::Result<Connection> {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let mut child = backend
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_PROTOCOL", request.header("git-protocol"))
        .env("REQUEST_METHOD", &request.method)
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("CONTENT_TYPE", request.header("content-type"))
        .env("CONTENT_LENGTH", request.body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", request.header("content-encoding"))
        .env("REMOTE_ADDR", "127.0.0.1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let (input, output) = (child.stdin.take(), child.stdout.take());
    thread::scope(|scope| {
        scope.spawn(move || input.map(|mut input| input.write_all(&request.body)));
        let answered = output.map_or(Ok(Connection::Closes), |output| write(output, stream));
        child.wait().and(answered)
    })
}

fn write(mut output: ChildStdout, mut stream: &TcpStream) -> io::Result<Connection> {
    let mut answer = Vec::new();
    let read = (&mut output)
        .take(MAX_HELD_BYTES)
        .read_to_end(&mut answer)?;
    let head_end = answer
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .ok_or_else(|| io::Error::other("git http-backend gave no header"))?;
    let head = String::from_utf8_lossy(&answer[..head_end]);
    let status = head
        .lines()
        .find_map(|line| line.strip_prefix("Status: "))
        .unwrap_or("200 OK");
    let body = &answer[head_end + 4..];
    let is_whole = (read as u64) < MAX_HELD_BYTES;
    let length = if is_whole {
        format!("Content-Length: {}", body.len())
    } else {
        "Connection: close".to_owned()
    };
    let mut bytes = format!("HTTP/1.1 {status}\r\n{length}\r\n{head}\r\n\r\n").into_bytes();
    bytes.extend_from_slice(body);
    stream.write_all(&bytes)?;
    if is_whole {
        return Ok(Connection::Stays);
    }
    io::copy(&mut output, &mut stream)?;
    Ok(Connection::Closes)
}
