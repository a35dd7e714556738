//! An HTTP/1.1 client on a plain socket: what is sent is what the test wrote, and the whole
//! answer is read. For HTTP/2 it is curl.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

/// No answer in this time is a failure of the test.
const PATIENCE: Duration = Duration::from_mins(2);

/// A name: the core rule set of `mod_security` thinks ill of an address.
const HOST: &str = "localhost";

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
    headers: Vec<(String, String)>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn first_word(&self) -> &str {
        first_word(&self.body)
    }
}

/// The word that a person sees first: `deployed`, `refused` and so on.
pub(crate) fn first_word(body: &str) -> &str {
    body.split(|c: char| !c.is_ascii_alphabetic())
        .next()
        .unwrap()
}

/// A request that was sent and whose answer nobody has read yet. Dropped, the client hangs up.
pub(crate) enum Sent {
    Over(TcpStream),
    By(Curl),
}

/// Hangs up when it is dropped.
pub(crate) struct Curl {
    child: Child,
    /// Open where more of the body was announced: its end would be that of the request.
    _input: Option<ChildStdin>,
}

impl Drop for Curl {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// How a client speaks to a server.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    /// Without TLS, as behind a proxy that ends it.
    Http2,
}

/// Who sends requests to a port.
#[derive(Clone, Copy)]
pub(crate) struct Client {
    pub(crate) port: u16,
    pub(crate) protocol: Protocol,
}

impl Client {
    pub(crate) fn send(
        self,
        method: &str,
        target: &str,
        headers: &[(String, String)],
        body: &[u8],
    ) -> Sent {
        let length = (method == "POST").then_some(body.len());
        self.send_part(method, target, headers, length, body)
    }

    /// A POST that announces its whole body and ends after half of it.
    pub(crate) fn send_half(self, target: &str, headers: &[(String, String)], body: &[u8]) {
        let half = &body[..body.len() / 2];
        drop(self.send_part("POST", target, headers, Some(body.len()), half));
    }

    /// A POST whose body has no length: it comes in two chunks (RFC 9112 section 7.1), or ends where it ends.
    pub(crate) fn send_in_pieces(
        self,
        target: &str,
        headers: &[(String, String)],
        body: &[u8],
    ) -> Sent {
        if self.protocol == Protocol::Http2 {
            return self.send_part("POST", target, headers, None, body);
        }
        let (first, second) = body.split_at(body.len() / 2);
        let mut chunked = Vec::new();
        for chunk in [first, second, b""] {
            write!(chunked, "{:x}\r\n", chunk.len()).unwrap();
            chunked.extend_from_slice(chunk);
            chunked.extend_from_slice(b"\r\n");
        }
        let mut headers = headers.to_vec();
        headers.push(("Transfer-Encoding".to_owned(), "chunked".to_owned()));
        self.send_part("POST", target, &headers, None, &chunked)
    }

    /// Announces a length, if there is one, and sends what there is of the body.
    fn send_part(
        self,
        method: &str,
        target: &str,
        headers: &[(String, String)],
        length: Option<usize>,
        body: &[u8],
    ) -> Sent {
        match self.protocol {
            Protocol::Http1 => Sent::Over(self.on_a_socket(method, target, headers, length, body)),
            Protocol::Http2 => Sent::By(self.by_curl(method, target, headers, length, body)),
        }
    }

    fn on_a_socket(
        self,
        method: &str,
        target: &str,
        headers: &[(String, String)],
        length: Option<usize>,
        body: &[u8],
    ) -> TcpStream {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        let mut head =
            format!("{method} {target} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n");
        for (name, value) in headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        if let Some(length) = length {
            write!(head, "Content-Length: {length}\r\n").unwrap();
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        stream
    }

    fn by_curl(
        self,
        method: &str,
        target: &str,
        headers: &[(String, String)],
        length: Option<usize>,
        body: &[u8],
    ) -> Curl {
        let mut curl = Command::new("curl");
        curl.args([
            "-q",
            "-sS",
            "-i",
            "--noproxy",
            "*",
            "--http2-prior-knowledge",
        ]);
        curl.args(["--max-time", &PATIENCE.as_secs().to_string()]);
        let is_part = length.is_some_and(|length| length > body.len());
        match (method, length) {
            ("HEAD", _) => curl.arg("-I"),
            ("POST", Some(length)) if is_part => {
                let length = format!("Content-Length: {length}");
                curl.args(["-X", "POST", "-T", "-", "-H", "Expect:", "-H", &length])
            }
            ("POST", Some(_)) => curl.args(["--data-binary", "@-"]),
            ("POST", None) => curl.args(["-X", "POST", "-T", "-", "-H", "Expect:"]),
            (other, _) => curl.args(["-X", other]),
        };
        for (name, value) in headers {
            curl.args(["-H", &format!("{name}: {value}")]);
        }
        let mut child = curl
            .arg(format!("http://{HOST}:{}{target}", self.port))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        // A server may have answered before it has read everything.
        drop(input.write_all(body));
        let kept = is_part.then_some(input);
        Curl {
            child,
            _input: kept,
        }
    }
}

impl Sent {
    /// Waits until all has come that comes.
    pub(crate) fn bytes(self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self {
            Sent::Over(mut stream) => stream.read_to_end(&mut bytes).unwrap(),
            Sent::By(mut curl) => {
                let output = curl.child.stdout.as_mut().unwrap();
                output.read_to_end(&mut bytes).unwrap()
            }
        };
        bytes
    }

    pub(crate) fn answer(self) -> Answer {
        let bytes = self.bytes();
        let head_end = bytes
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .unwrap_or_else(|| panic!("no header in {:?}", String::from_utf8_lossy(&bytes)));
        let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap();
        let mut answer = Answer {
            status: status.parse().unwrap(),
            body: String::new(),
            headers: lines
                .map(|line| line.split_once(':').unwrap())
                .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
                .collect(),
        };
        let body = &bytes[head_end + 4..];
        let body = match answer.header("transfer-encoding") {
            Some(_) => dechunked(body),
            None => body.to_vec(),
        };
        if let Some(length) = answer.header("content-length") {
            // The answer to HEAD announces the length of what it leaves out.
            assert!(
                body.is_empty() || length == body.len().to_string(),
                "{head}"
            );
        }
        answer.body = String::from_utf8(body).unwrap();
        answer
    }
}

fn dechunked(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let line_end = rest.windows(2).position(|two| two == b"\r\n").unwrap();
        let size = std::str::from_utf8(&rest[..line_end]).unwrap();
        let size = usize::from_str_radix(size.trim(), 16).unwrap();
        if size == 0 {
            return body;
        }
        let chunk = line_end + 2;
        body.extend_from_slice(&rest[chunk..chunk + size]);
        rest = &rest[chunk + size + 2..];
    }
}
