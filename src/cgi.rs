//! CGI and nothing else (RFC 3875): the environment as bytes, the request's head and body, the response.
//!
//! Must not know what a webhook is. Everything a client or a server can do to the environment is met here:
//! names that stand twice, values that are not text, lengths that lie, input that never ends.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::ops::{Deref, DerefMut};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

use memmap2::{Advice, MmapMut};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::ignored::ignore;

/// How long taking or draining a body may last, from the start of the request. GitHub hangs up after 10 s.
const BODY_DEADLINE: Duration = Duration::from_secs(8);

/// The most that is drained of a body nobody wants, in bytes: enough for anything GitHub sends (25 MB).
const DRAIN_LIMIT: u64 = 64 << 20;

/// How long more of a body may keep us waiting than was announced.
const UNANNOUNCED_PATIENCE: Duration = Duration::from_millis(100);

/// A piece of a body, in bytes: what a pipe holds, and small enough to stay in the processor's cache for its digest.
const PIECE: usize = 64 << 10;

/// The size of a huge page on most machines, in bytes.
const HUGE_PAGE: usize = 2 << 20;

/// The meta-variables of RFC 3875 section 4.1 and what Apache, lighttpd, nginx and fcgiwrap add to them.
/// Families (`HTTP_`, `REDIRECT_`, `SSL_`) are matched by prefix.
const META_VARIABLES: &[&str] = &[
    "AUTH_TYPE",
    "CONTENT_LENGTH",
    "CONTENT_TYPE",
    "CONTEXT_DOCUMENT_ROOT",
    "CONTEXT_PREFIX",
    "DEPLOY_CGI_SITE",
    "DOCUMENT_ROOT",
    "DOCUMENT_URI",
    "FCGI_ROLE",
    "GATEWAY_INTERFACE",
    "HTTPS",
    "PATH_INFO",
    "PATH_TRANSLATED",
    "QUERY_STRING",
    "REMOTE_ADDR",
    "REMOTE_HOST",
    "REMOTE_IDENT",
    "REMOTE_PORT",
    "REMOTE_USER",
    "REQUEST_METHOD",
    "REQUEST_SCHEME",
    "REQUEST_URI",
    "SCRIPT_FILENAME",
    "SCRIPT_NAME",
    "SCRIPT_URI",
    "SCRIPT_URL",
    "SERVER_ADDR",
    "SERVER_ADMIN",
    "SERVER_NAME",
    "SERVER_PORT",
    "SERVER_PROTOCOL",
    "SERVER_SIGNATURE",
    "SERVER_SOFTWARE",
    "UNIQUE_ID",
];

/// The environment of a process, as the bytes it was given, names that stand twice included.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment(Vec<(OsString, OsString)>);

/// What the environment says about one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variable<'e> {
    Absent,
    Once(&'e [u8]),
    /// lighttpd and nginx hand over two entries for a header that came twice.
    Several,
}

impl<'e> Variable<'e> {
    /// The value, where there is exactly one.
    pub(crate) fn once(self) -> Option<&'e [u8]> {
        match self {
            Self::Once(value) => Some(value),
            Self::Absent | Self::Several => None,
        }
    }
}

impl Environment {
    /// The environment of this process.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads it")]
    pub(crate) fn of_this_process() -> Self {
        Self(std::env::vars_os().collect())
    }

    /// Whether a web server called. Then no argument is ever a command: servers make arguments out of the query
    /// (RFC 3875 section 4.4), and a flood of headers can push single variables out under suexec, so any one
    /// of them is enough. `HTTP_PROXY` is what people export in their shells.
    pub(crate) fn is_a_request(&self) -> bool {
        self.0.iter().any(|(name, _)| {
            matches!(
                name.as_bytes(),
                b"GATEWAY_INTERFACE"
                    | b"REQUEST_METHOD"
                    | b"SERVER_PROTOCOL"
                    | b"QUERY_STRING"
                    | b"CONTENT_LENGTH"
            ) || (name.as_bytes().starts_with(b"HTTP_") && name != "HTTP_PROXY")
        })
    }

    /// All values of `name`, in order.
    fn values(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.0
            .iter()
            .filter(move |(n, _)| n == name)
            .map(|(_, value)| value.as_bytes())
    }

    /// What the environment says about `name`.
    pub(crate) fn variable(&self, name: &str) -> Variable<'_> {
        let mut values = self.values(name);
        match (values.next(), values.next()) {
            (None, _) => Variable::Absent,
            (Some(value), None) => Variable::Once(value),
            (Some(_), Some(_)) => Variable::Several,
        }
    }

    /// Whether `REQUEST_URI`, which many servers add, says nothing of a query.
    fn has_no_query_in_its_uri(&self) -> bool {
        match self.variable("REQUEST_URI") {
            Variable::Absent => true,
            Variable::Once(uri) => !uri.contains(&b'?'),
            Variable::Several => false,
        }
    }

    /// The value of `name` as the C library would give it: the first entry.
    pub(crate) fn first(&self, name: &str) -> Option<&OsStr> {
        self.0
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_os_str())
    }

    /// The host's own variables: all that no request can have put there. What a worker is started with, so that it
    /// does not take itself for a CGI program. Of a name that stands twice the first counts, as for the C library.
    pub(crate) fn of_the_host(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.0
            .iter()
            .enumerate()
            .filter(|(at, (name, _))| !self.0[..*at].iter().any(|(before, _)| before == name))
            .map(|(_, (name, value))| (name.as_os_str(), value.as_os_str()))
            .filter(|(name, _)| {
                let name = name.as_bytes();
                !META_VARIABLES.iter().any(|meta| meta.as_bytes() == name)
                    && ![&b"HTTP_"[..], b"REDIRECT_", b"SSL_"]
                        .iter()
                        .any(|family| name.starts_with(family))
            })
    }
}

impl FromIterator<(OsString, OsString)> for Environment {
    fn from_iter<I: IntoIterator<Item = (OsString, OsString)>>(entries: I) -> Self {
        Self(entries.into_iter().collect())
    }
}

/// How much body a request says it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    /// `CONTENT_LENGTH` empty or absent: there is no body (RFC 3875 section 4.1.2), or the server lost it. Not "to the
    /// end": Python's server never ends the input.
    Unsaid,
    Exactly(u64),
    /// Apache hands a chunked body over without a length, and ends the input; Caddy with the length -1; suexec loses the
    /// length of any body whose request has too many headers.
    ToTheEnd,
    /// Not a number, or two different ones.
    Unknown,
}

impl Length {
    fn of(env: &Environment) -> Self {
        let mut values = env.values("CONTENT_LENGTH");
        let value = values.next();
        // Some servers hand it over twice.
        if values.any(|other| Some(other) != value) {
            return Self::Unknown;
        }
        match value {
            // Pushed out of the environment by a flood of headers, as REQUEST_METHOD was: there may be a body.
            None if env.variable("REQUEST_METHOD") == Variable::Absent => Self::ToTheEnd,
            None | Some(b"") => match env.variable("HTTP_TRANSFER_ENCODING") {
                Variable::Absent => Self::Unsaid,
                Variable::Once(_) | Variable::Several => Self::ToTheEnd,
            },
            Some(b"-1") => Self::ToTheEnd,
            Some(digits) if digits.iter().all(u8::is_ascii_digit) => {
                // A number too large for us is still a number, and over every limit.
                let number = digits.iter().try_fold(0_u64, |n, d| {
                    n.checked_mul(10)?.checked_add(u64::from(d - b'0'))
                });
                Self::Exactly(number.unwrap_or(u64::MAX))
            }
            Some(_) => Self::Unknown,
        }
    }
}

/// Whether servers make arguments of a query: one without a raw `=` is a list of search words (RFC 3875 section 4.4).
pub(crate) fn is_search_words(query: &[u8]) -> bool {
    !query.is_empty() && !query.contains(&b'=')
}

/// The head of a request that can be answered: it has a method and a query string, and the query is no list of
/// search words, so that none of its words can have become an argument.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'e> {
    env: &'e Environment,
    pub(crate) method: &'e [u8],
}

/// Why a request has no head to go by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadHead {
    /// The query has no raw `=`: the server made arguments of its words (RFC 3875 section 4.4).
    QueryWords,
    /// `REQUEST_METHOD` is missing, or `QUERY_STRING` where there may have been a query; or one of them stands twice.
    Incomplete,
}

impl<'e> Request<'e> {
    /// Reads the head out of the environment. `arguments` are those that the server started us with.
    pub(crate) fn read(env: &'e Environment, arguments: &[OsString]) -> Result<Self, BadHead> {
        let query = match env.variable("QUERY_STRING") {
            Variable::Once(query) => query,
            // Several servers leave it out where there is none. A flood of headers pushes it out under suexec, but
            // not the arguments that were made of it.
            Variable::Absent if arguments.is_empty() && env.has_no_query_in_its_uri() => b"",
            Variable::Absent | Variable::Several => return Err(BadHead::Incomplete),
        };
        if is_search_words(query) {
            return Err(BadHead::QueryWords);
        }
        match env.variable("REQUEST_METHOD") {
            Variable::Once(method) => Ok(Self { env, method }),
            Variable::Absent | Variable::Several => Err(BadHead::Incomplete),
        }
    }

    /// The type of the body (RFC 3875 section 4.1.3). Some servers pass it on as any other header.
    pub(crate) fn content_type(&self) -> Variable<'e> {
        match self.env.variable("CONTENT_TYPE") {
            Variable::Absent => self.header("HTTP_CONTENT_TYPE"),
            said => said,
        }
    }

    /// A header by the name CGI gives it, such as `HTTP_X_GITHUB_EVENT` (RFC 3875 section 4.1.18).
    pub(crate) fn header(&self, name: &str) -> Variable<'e> {
        self.env.variable(name)
    }
}

/// The body on standard input, not yet taken. It has to be taken or drained before an answer leaves: `mod_cgid` and
/// fcgiwrap cut the answer of a program that did not read.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) length: Length,
    /// Whether it has a content coding. A server that undoes it announces the length from before (Apache's input filter
    /// DEFLATE).
    is_coded: bool,
    deadline: Instant,
}

/// What came of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadBody {
    /// Larger than the site takes.
    TooLarge,
    /// `CONTENT_LENGTH` is no number.
    UnknownLength,
    /// Not a byte came, and the request did not say that it is empty.
    Lost,
    /// The input ended before the declared length, or time was up before it ended.
    Short,
    /// No memory to keep it.
    NoRoom,
}

impl BadBody {
    /// A body that ended too early, after `got` bytes.
    fn ended_after(got: u64) -> Self {
        if got == 0 { Self::Lost } else { Self::Short }
    }
}

impl Body {
    /// The body of the request in `env`, which began at `started`.
    pub(crate) fn of(env: &Environment, started: Instant) -> Self {
        Self {
            length: Length::of(env),
            is_coded: env.variable("HTTP_CONTENT_ENCODING") != Variable::Absent,
            deadline: started + BODY_DEADLINE,
        }
    }

    /// Takes the whole body into memory, at most `limit` bytes, and shows `each` piece as it comes, so that a digest
    /// is ready with the last byte.
    pub(crate) fn take(self, limit: u64, each: impl FnMut(&[u8])) -> Result<Memory, BadBody> {
        match self.length {
            Length::Unsaid => Err(BadBody::Lost),
            Length::Exactly(length) => match usize::try_from(length) {
                Ok(size) if length <= limit => self.take_exactly(size, each),
                Ok(_) | Err(_) => Err(self.drained_for(BadBody::TooLarge)),
            },
            Length::ToTheEnd => self.take_to_the_end(limit, each),
            Length::Unknown => Err(self.drained_for(BadBody::UnknownLength)),
        }
    }

    fn take_exactly(self, length: usize, mut each: impl FnMut(&[u8])) -> Result<Memory, BadBody> {
        let Some(mut memory) = Memory::of(length) else {
            return Err(self.drained_for(BadBody::NoRoom));
        };
        let mut filled = 0;
        while filled < length {
            let end = length.min(filled + PIECE);
            let got = self.read(&mut memory[filled..end]);
            if got == 0 {
                return Err(BadBody::ended_after(filled as u64));
            }
            each(&memory[filled..filled + got]);
            filled += got;
        }
        Ok(memory)
    }

    fn take_to_the_end(self, limit: u64, mut each: impl FnMut(&[u8])) -> Result<Memory, BadBody> {
        let mut body = Vec::new();
        let mut piece = vec![0; PIECE];
        loop {
            let got = self.read(&mut piece);
            if got == 0 {
                break;
            }
            let bad = if (body.len() + got) as u64 > limit {
                Some(BadBody::TooLarge)
            } else if body.try_reserve(got).is_err() {
                Some(BadBody::NoRoom)
            } else {
                None
            };
            if let Some(bad) = bad {
                drop(body);
                return Err(self.drained_for(bad));
            }
            body.extend_from_slice(&piece[..got]);
            each(&piece[..got]);
        }
        // The end of the input is the end of the body; the end of our patience is not.
        if body.is_empty() || self.deadline <= Instant::now() {
            return Err(BadBody::ended_after(body.len() as u64));
        }
        Ok(Memory::Small(body))
    }

    /// Reads and forgets the body, within bounds of size and time, and says what is wrong with it, if anything is.
    pub(crate) fn drain(self, limit: u64) -> Result<(), BadBody> {
        let mut piece = vec![0_u8; PIECE];
        let (want, end) = match self.length {
            Length::Unsaid | Length::Exactly(0) => return Ok(()),
            Length::Exactly(length) => (length, length.min(DRAIN_LIMIT)),
            Length::ToTheEnd | Length::Unknown => (0, DRAIN_LIMIT),
        };
        let mut got = 0;
        while got < end {
            let room = usize::try_from(end - got).unwrap_or(PIECE).min(PIECE);
            match self.read(&mut piece[..room]) {
                0 => break,
                n => got += n as u64,
            }
        }
        while self.is_coded && got < DRAIN_LIMIT {
            match self.read_within(UNANNOUNCED_PATIENCE, &mut piece) {
                0 => break,
                n => got += n as u64,
            }
        }
        match self.length {
            Length::Unknown => Err(BadBody::UnknownLength),
            Length::Exactly(_) if want > limit => Err(BadBody::TooLarge),
            Length::Exactly(_) if got < end => Err(BadBody::ended_after(got)),
            Length::ToTheEnd if got > limit => Err(BadBody::TooLarge),
            Length::Unsaid | Length::Exactly(_) | Length::ToTheEnd => Ok(()),
        }
    }

    fn drained_for(self, why: BadBody) -> BadBody {
        ignore(self.drain(u64::MAX), "what is wrong is known already");
        why
    }

    /// One read, or 0 at the end of the input, at the deadline, and when the input is broken or closed.
    fn read(&self, buffer: &mut [u8]) -> usize {
        self.read_within(BODY_DEADLINE, buffer)
    }

    /// The same, and 0 when nothing comes for as long as `patience`.
    fn read_within(&self, patience: Duration, buffer: &mut [u8]) -> usize {
        let stdin = std::io::stdin();
        loop {
            let left = self.deadline.saturating_duration_since(Instant::now());
            let Ok(left) = Timespec::try_from(left.min(patience)) else {
                return 0;
            };
            match poll(
                &mut [PollFd::new(&stdin.as_fd(), PollFlags::IN)],
                Some(&left),
            ) {
                Ok(0) => return 0,
                Ok(_) => break,
                Err(Errno::INTR) => {}
                Err(_) => return 0,
            }
        }
        rustix::io::read(stdin.as_fd(), buffer).unwrap_or(0)
    }
}

/// A body in memory.
#[derive(Debug)]
pub(crate) enum Memory {
    Small(Vec<u8>),
    /// In huge pages where the system has them: otherwise a third of the time of a large body goes into page faults.
    Large(MmapMut),
}

impl Memory {
    /// That many zeros, if there is memory for them.
    fn of(length: usize) -> Option<Self> {
        if length < HUGE_PAGE {
            return Some(Self::Small(vec![0; length]));
        }
        let bytes = MmapMut::map_anon(length).ok()?;
        ignore(bytes.advise(Advice::HugePage), "it is only a wish");
        Some(Self::Large(bytes))
    }
}

impl Deref for Memory {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Small(bytes) => bytes,
            Self::Large(bytes) => bytes,
        }
    }
}

impl DerefMut for Memory {
    fn deref_mut(&mut self) -> &mut [u8] {
        match self {
            Self::Small(bytes) => bytes,
            Self::Large(bytes) => bytes,
        }
    }
}

/// A status line's number and its words (RFC 9110 section 15).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Status(pub(crate) u16, pub(crate) &'static str);

/// What goes back to the server.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: Status,
    /// The value of `Allow`, which a 405 owes (RFC 9110 section 15.5.6).
    pub(crate) allow: Option<&'static str>,
    /// Text for a person; a final newline is added where it lacks one.
    pub(crate) body: String,
    /// Whether the body is left out, as a HEAD wants it. Not every server cuts it.
    pub(crate) head_only: bool,
}

impl Response {
    /// A document response (RFC 3875 section 6.2.1). `Status` comes first: busybox looks nowhere else.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let newline = if self.body.ends_with('\n') { "" } else { "\n" };
        let allow = self
            .allow
            .map_or_else(String::new, |methods| format!("Allow: {methods}\r\n"));
        let mut bytes = format!(
            "Status: {} {}\r\nContent-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\n\
             X-Content-Type-Options: nosniff\r\n{allow}Content-Length: {}\r\n\r\n",
            self.status.0,
            self.status.1,
            self.body.len() + newline.len(),
        )
        .into_bytes();
        if !self.head_only {
            bytes.extend_from_slice(self.body.as_bytes());
            bytes.extend_from_slice(newline.as_bytes());
        }
        bytes
    }

    /// Writes the response in one piece: busybox reads the status out of the first write only.
    pub(crate) fn write(&self, mut to: impl Write) -> std::io::Result<()> {
        to.write_all(&self.to_bytes())?;
        to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(entries: &[(&str, &str)]) -> Environment {
        entries
            .iter()
            .map(|(name, value)| (OsString::from(name), OsString::from(value)))
            .collect()
    }

    #[track_caller]
    fn check_length(entries: &[(&str, &str)], expected: Length) {
        let method = [("REQUEST_METHOD", "POST")];
        assert_eq!(Length::of(&env(&[&method, entries].concat())), expected);
    }

    #[test]
    fn a_length_is_digits_or_nothing() {
        check_length(&[], Length::Unsaid);
        check_length(&[("CONTENT_LENGTH", "")], Length::Unsaid);
        check_length(&[("CONTENT_LENGTH", "0")], Length::Exactly(0));
        check_length(&[("CONTENT_LENGTH", "007")], Length::Exactly(7));
        check_length(
            &[("CONTENT_LENGTH", "18446744073709551616")],
            Length::Exactly(u64::MAX),
        );
        check_length(&[("CONTENT_LENGTH", "-1")], Length::ToTheEnd);
        for wrong in ["-2", "+1", "1e3", " 1", "1 ", "0x10", "1, 1"] {
            check_length(&[("CONTENT_LENGTH", wrong)], Length::Unknown);
        }
        check_length(
            &[("CONTENT_LENGTH", "1"), ("CONTENT_LENGTH", "1")],
            Length::Exactly(1),
        );
        check_length(
            &[("CONTENT_LENGTH", "1"), ("CONTENT_LENGTH", "01")],
            Length::Unknown,
        );
        check_length(&[("HTTP_TRANSFER_ENCODING", "chunked")], Length::ToTheEnd);
        check_length(
            &[
                ("CONTENT_LENGTH", "3"),
                ("HTTP_TRANSFER_ENCODING", "chunked"),
            ],
            Length::Exactly(3),
        );
        assert_eq!(Length::of(&env(&[])), Length::ToTheEnd);
    }

    #[track_caller]
    fn check_caller(entries: &[(&str, &str)], expected: bool) {
        assert_eq!(env(entries).is_a_request(), expected);
    }

    #[test]
    fn any_one_cgi_variable_means_a_web_server() {
        for name in [
            "GATEWAY_INTERFACE",
            "REQUEST_METHOD",
            "SERVER_PROTOCOL",
            "QUERY_STRING",
            "CONTENT_LENGTH",
            "HTTP_X",
        ] {
            check_caller(&[("PATH", "/bin"), (name, "")], true);
        }
        check_caller(
            &[
                ("PATH", "/bin"),
                ("HTTP_PROXY", "http://proxy"),
                ("HTTPS_PROXY", "x"),
            ],
            false,
        );
    }

    #[test]
    fn a_request_needs_a_method_and_a_query_that_is_no_list_of_words() {
        #[track_caller]
        fn check(entries: &[(&str, &str)], expected: Option<BadHead>) {
            assert_eq!(Request::read(&env(entries), &[]).err(), expected);
        }
        check(&[("REQUEST_METHOD", "POST"), ("QUERY_STRING", "")], None);
        check(
            &[("REQUEST_METHOD", "POST"), ("QUERY_STRING", "a=b+run")],
            None,
        );
        check(
            &[("REQUEST_METHOD", "POST"), ("QUERY_STRING", "run")],
            Some(BadHead::QueryWords),
        );
        check(
            &[("REQUEST_METHOD", "POST"), ("QUERY_STRING", "a%3Db")],
            Some(BadHead::QueryWords),
        );
        check(&[("REQUEST_METHOD", "POST")], None);
        check(&[("QUERY_STRING", "")], Some(BadHead::Incomplete));
        check(
            &[
                ("REQUEST_METHOD", "GET"),
                ("QUERY_STRING", ""),
                ("QUERY_STRING", ""),
            ],
            Some(BadHead::Incomplete),
        );
    }

    #[test]
    fn nothing_of_a_request_is_the_hosts() {
        let env = env(&[
            ("PATH", "/bin"),
            ("HTTP_PROXY", "x"),
            ("REDIRECT_STATUS", "200"),
            ("SSL_CERT", "x"),
            ("REMOTE_ADDR", "::1"),
            ("TZ", "UTC"),
        ]);
        let names: Vec<_> = env.of_the_host().map(|(name, _)| name.to_owned()).collect();
        assert_eq!(names, ["PATH", "TZ"]);
    }

    #[test]
    fn a_response_begins_with_its_status_and_ends_with_a_newline() {
        let mut response = Response {
            status: Status(202, "Accepted"),
            allow: None,
            body: "queued".into(),
            head_only: false,
        };
        let text = String::from_utf8(response.to_bytes()).unwrap();
        assert!(
            text.starts_with("Status: 202 Accepted\r\nContent-Type: text/plain; charset=utf-8\r\n")
        );
        assert!(text.ends_with("Content-Length: 7\r\n\r\nqueued\n"));
        response.head_only = true;
        assert!(response.to_bytes().ends_with(b"Content-Length: 7\r\n\r\n"));
    }
}
