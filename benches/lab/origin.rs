//! The upstream over HTTP: `git http-backend` behind a socket on loopback, in a process of its own.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use anyhow::{Context, Result};

use super::Lab;

/// The first argument that makes a benchmark this server.
const VERB: &str = "serve-origin";

/// A running server; it ends when this is dropped.
pub struct Origin {
    child: Child,
    port: u16,
}

/// Serves, if that is what this process was started for; it never returns then.
pub fn serve_if_asked() -> Result<()> {
    let mut args = std::env::args().skip(1);
    if args.next().as_deref() != Some(VERB) {
        return Ok(());
    }
    let root = args.next().context("no folder to serve")?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?.port());
    for stream in listener.incoming().flatten() {
        let root = root.clone();
        // A client that hangs up is no concern of the server's.
        thread::spawn(move || drop(serve(&stream, &root)));
    }
    Ok(())
}

impl Origin {
    pub fn start(lab: &Lab) -> Result<Self> {
        let mut child = lab
            .clean(std::env::current_exe()?)
            .arg(VERB)
            .arg(lab.path("upstream"))
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("no output of the origin")?)
            .read_line(&mut line)?;
        let port = line.trim().parse().context("the origin says no port")?;
        Ok(Self { child, port })
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn serve(stream: &TcpStream, root: &str) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    while let Some(request) = Request::read(&mut reader, stream)? {
        let answer = backend(&request, Path::new(root))?;
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
        let length = body.len();
        let mut bytes =
            format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{head}\r\n\r\n").into_bytes();
        bytes.extend_from_slice(body);
        (&mut &*stream).write_all(&bytes)?;
    }
    Ok(())
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

    fn read(reader: &mut impl BufRead, mut stream: &TcpStream) -> io::Result<Option<Self>> {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let mut words = line.split_whitespace();
        let (Some(method), Some(target)) = (words.next(), words.next()) else {
            return Ok(None);
        };
        let mut request = Self {
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
            request
                .headers
                .push((name.to_owned(), value.trim().to_owned()));
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

fn backend(request: &Request, root: &Path) -> io::Result<Vec<u8>> {
    let (path, query) = request
        .target
        .split_once('?')
        .unwrap_or((&request.target, ""));
    let mut child = Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
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
    if let Some(mut input) = child.stdin.take() {
        input.write_all(&request.body)?;
    }
    child.wait_with_output().map(|output| output.stdout)
}
