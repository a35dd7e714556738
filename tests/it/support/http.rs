//! An HTTP/1.1 client on a plain socket: what is sent is what the test wrote, and the whole
//! answer is read.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// No answer in this time is a failure of the test.
const PATIENCE: Duration = Duration::from_mins(2);

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
pub(crate) struct Sent(TcpStream);

pub(crate) fn send(
    port: u16,
    method: &str,
    target: &str,
    headers: &[(String, String)],
    body: &[u8],
) -> Sent {
    let length = (method == "POST").then_some(body.len());
    send_head(port, method, target, headers, length, body)
}

fn send_head(
    port: u16,
    method: &str,
    target: &str,
    headers: &[(String, String)],
    length: Option<usize>,
    body: &[u8],
) -> Sent {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    let mut head =
        format!("{method} {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n");
    for (name, value) in headers {
        write!(head, "{name}: {value}\r\n").unwrap();
    }
    if let Some(length) = length {
        write!(head, "Content-Length: {length}\r\n").unwrap();
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    Sent(stream)
}

/// A POST that announces its whole body and ends after half of it.
pub(crate) fn send_half(port: u16, target: &str, headers: &[(String, String)], body: &[u8]) {
    let half = &body[..body.len() / 2];
    drop(send_head(
        port,
        "POST",
        target,
        headers,
        Some(body.len()),
        half,
    ));
}

/// A POST whose body comes in two chunks (RFC 9112 section 7.1).
pub(crate) fn send_in_pieces(
    port: u16,
    target: &str,
    headers: &[(String, String)],
    body: &[u8],
) -> Sent {
    let (first, second) = body.split_at(body.len() / 2);
    let mut chunked = Vec::new();
    for chunk in [first, second, b""] {
        write!(chunked, "{:x}\r\n", chunk.len()).unwrap();
        chunked.extend_from_slice(chunk);
        chunked.extend_from_slice(b"\r\n");
    }
    let mut headers = headers.to_vec();
    headers.push(("Transfer-Encoding".to_owned(), "chunked".to_owned()));
    send_head(port, "POST", target, &headers, None, &chunked)
}

impl Sent {
    pub(crate) fn answer(mut self) -> Answer {
        let mut bytes = Vec::new();
        self.0.read_to_end(&mut bytes).unwrap();
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
