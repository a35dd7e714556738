//! CGI and nothing else (RFC 3875): the environment as bytes, the request's head and body, the response.
//!
//! Must not know what a webhook is. Everything a client or a server can do to the environment is met here:
//! names that stand twice, values that are not text, lengths that lie, input that never ends.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::ops::Deref;
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

use memmap2::{Advice, MmapMut};

use crate::files::is_readable_within;
use crate::ignored::ignore;

/// How long taking or draining a body may last, from the start of the request. GitHub hangs up after 10 s.
const BODY_DEADLINE: Duration = Duration::from_secs(8);

/// The most that is read of a body, in bytes: enough for anything GitHub sends (25 MB).
const MAX_READ: usize = 64 << 20;

/// How long more of a body may keep us waiting than was announced.
const UNANNOUNCED_PATIENCE: Duration = Duration::from_millis(100);

/// The size of a huge page on most machines, in bytes.
const HUGE_PAGE: usize = 2 << 20;

/// A piece of a body, in bytes: what a pipe holds, and small enough to stay in the processor's cache for its digest.
const PIECE: usize = 64 << 10;

/// The longest address that is passed on, in bytes.
const MAX_ADDRESS: usize = 500;

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
        self.0
            .iter()
            .any(|(name, _)| is_of_a_request(name) && name != "HTTP_PROXY")
    }

    /// All values of `name`, in order.
    fn values(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        let of_name = self.0.iter().filter(move |(known, _)| known == name);
        of_name.map(|(_, value)| value.as_bytes())
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

    /// Whether the body has a content coding (RFC 9110 section 8.4).
    fn has_coded_body(&self) -> bool {
        match self.variable("HTTP_CONTENT_ENCODING") {
            Variable::Absent => false,
            Variable::Once(coding) => {
                !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity")
            }
            Variable::Several => true,
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
        self.values(name).next().map(OsStr::from_bytes)
    }

    /// What a worker is started with: all but what would make it take itself for a CGI program. Of a name that stands
    /// twice the first counts, as for the C library.
    pub(crate) fn of_the_host(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        let mut seen = HashSet::new();
        self.0
            .iter()
            .map(|(name, value)| (name.as_os_str(), value.as_os_str()))
            .filter(move |(name, _)| !is_of_a_request(name) && seen.insert(*name))
    }
}

fn is_of_a_request(name: &OsStr) -> bool {
    matches!(
        name.as_bytes(),
        b"GATEWAY_INTERFACE"
            | b"REQUEST_METHOD"
            | b"SERVER_PROTOCOL"
            | b"QUERY_STRING"
            | b"CONTENT_LENGTH"
    ) || name.as_bytes().starts_with(b"HTTP_")
}

impl FromIterator<(OsString, OsString)> for Environment {
    fn from_iter<I: IntoIterator<Item = (OsString, OsString)>>(entries: I) -> Self {
        Self(entries.into_iter().collect())
    }
}

/// Whether we were started as a `FastCGI` program: with a listening socket as standard input (its specification, section
/// 2.2).
pub(crate) fn is_fastcgi() -> bool {
    rustix::net::sockopt::socket_acceptconn(std::io::stdin()) == Ok(true)
}

/// The address that the client asked for, without its query, as far as the server says (RFC 3875, sections 4.1.13 and
/// 4.1.18). Whoever sends a request chooses what stands there: no secret may depend on it.
pub(crate) fn address(env: &Environment) -> Option<String> {
    let text = |name| std::str::from_utf8(env.variable(name).once()?).ok();
    let (host, script) = (text("HTTP_HOST")?, text("SCRIPT_NAME")?);
    // Apache and most others say the first, some the second; the last is what a proxy says that ends TLS.
    let is_https = text("HTTPS")
        .is_some_and(|on| !on.is_empty() && !on.eq_ignore_ascii_case("off"))
        || text("REQUEST_SCHEME") == Some("https")
        || text("HTTP_X_FORWARDED_PROTO") == Some("https");
    let scheme = if is_https { "https" } else { "http" };
    let is_plain = !host.contains(['/', '?', '#']) && !script.contains(['?', '#', '%']);
    (is_plain && script.starts_with('/') && host.len() + script.len() <= MAX_ADDRESS)
        .then(|| format!("{scheme}://{host}{script}"))
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
    pub(crate) query: &'e [u8],
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
            Variable::Once(method) => Ok(Self { env, method, query }),
            Variable::Absent | Variable::Several => Err(BadHead::Incomplete),
        }
    }

    /// Whether the body has a content coding.
    pub(crate) fn has_coded_body(&self) -> bool {
        self.env.has_coded_body()
    }

    /// The type of the body (RFC 3875 section 4.1.3). Some servers pass it on as any other header.
    pub(crate) fn content_type(&self) -> Variable<'e> {
        match self.env.variable("CONTENT_TYPE") {
            Variable::Absent => self.header("HTTP_CONTENT_TYPE"),
            said => said,
        }
    }

    /// What follows the script's name in the address (RFC 3875 section 4.1.5). Empty and absent are the same.
    pub(crate) fn path_info(&self) -> Variable<'e> {
        match self.env.variable("PATH_INFO") {
            Variable::Once(b"") => Variable::Absent,
            said => said,
        }
    }

    /// The last part of the script's address, by which a page there can name what is below it: absent where the server
    /// did not say it (RFC 3875 section 4.1.13).
    pub(crate) fn last_part_of_script(&self) -> Option<&'e [u8]> {
        let path = self.env.variable("SCRIPT_NAME").once()?;
        let last = path.rsplit(|&byte| byte == b'/').next();
        last.filter(|name| !name.is_empty())
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
    /// Whether it has a content coding. A server that undoes it announces the length from before, which may be more or less
    /// than what comes (Apache's input filter DEFLATE).
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

impl Body {
    /// The body of the request in `env`, which began at `started`.
    pub(crate) fn of(env: &Environment, started: Instant) -> Self {
        Self {
            length: Length::of(env),
            is_coded: env.has_coded_body(),
            deadline: started + BODY_DEADLINE,
        }
    }

    /// Takes the whole body into memory, at most `limit` bytes, and shows `each` piece as it comes, so that a digest
    /// is ready with the last byte.
    pub(crate) fn take(self, limit: u64, mut each: impl FnMut(&[u8])) -> Result<Memory, BadBody> {
        let mut body = Memory::with_room(match self.length {
            Length::Exactly(length) if length <= limit => length,
            // None of it is there, or none is kept, or nobody knows how much it is.
            Length::Unsaid | Length::Exactly(_) | Length::ToTheEnd | Length::Unknown => 0,
        });
        self.read(limit, |piece| {
            let before = body.take();
            let kept = before.filter(|kept| (kept.len() + piece.len()) as u64 <= limit);
            body = kept.and_then(|kept| kept.with(piece));
            if body.is_some() {
                each(piece);
            }
        })?;
        let body = body.ok_or(BadBody::NoRoom)?;
        if body.is_empty() && self.length != Length::Exactly(0) {
            return Err(BadBody::Lost);
        }
        Ok(body)
    }

    /// Reads and forgets the body, and says what is wrong with it, if anything is.
    pub(crate) fn drain(self, limit: u64) -> Result<(), BadBody> {
        self.read(limit, |_| {})
    }

    /// Reads to the end of the body, within bounds of size and time.
    fn read(&self, limit: u64, mut each: impl FnMut(&[u8])) -> Result<(), BadBody> {
        let end = match self.length {
            Length::Unsaid => 0,
            Length::Exactly(length) => usize::try_from(length).unwrap_or(MAX_READ).min(MAX_READ),
            Length::ToTheEnd | Length::Unknown => MAX_READ,
        };
        let mut piece = vec![0; end.min(PIECE)];
        let mut got = 0;
        while got < end {
            match self.read_within(BODY_DEADLINE, &mut piece[..PIECE.min(end - got)]) {
                0 => break,
                size => {
                    each(&piece[..size]);
                    got += size;
                }
            }
        }
        let mut unannounced = got;
        while self.is_coded && unannounced < MAX_READ {
            match self.read_within(UNANNOUNCED_PATIENCE, &mut piece) {
                0 => break,
                size => unannounced += size,
            }
        }
        match self.length {
            Length::Unknown => Err(BadBody::UnknownLength),
            Length::Exactly(length) if length > limit => Err(BadBody::TooLarge),
            Length::Exactly(_) if self.is_coded => Ok(()),
            Length::Exactly(_) if got == 0 && end > 0 => Err(BadBody::Lost),
            Length::Exactly(_) if got < end => Err(BadBody::Short),
            Length::ToTheEnd if got as u64 > limit || got == MAX_READ => Err(BadBody::TooLarge),
            // The end of the input is the end of the body; the end of our patience is not.
            Length::ToTheEnd if self.deadline <= Instant::now() => Err(BadBody::Short),
            Length::Unsaid | Length::Exactly(_) | Length::ToTheEnd => Ok(()),
        }
    }

    /// One read, or 0 at the end of the input, when nothing comes for as long as `patience`, at the deadline, and when
    /// the input is broken or closed.
    fn read_within(&self, patience: Duration, buffer: &mut [u8]) -> usize {
        let stdin = std::io::stdin();
        let left = self.deadline.saturating_duration_since(Instant::now());
        match is_readable_within(&stdin, left.min(patience)) {
            Ok(true) => rustix::io::read(stdin, buffer).unwrap_or(0),
            Ok(false) | Err(_) => 0,
        }
    }
}

/// A body in memory. A large one is in huge pages where the system has them: otherwise a third of its time goes into page
/// faults.
#[derive(Debug)]
pub(crate) struct Memory {
    room: MmapMut,
    length: usize,
}

impl Memory {
    /// With room for that many bytes, if there is.
    fn with_room(bytes: u64) -> Option<Self> {
        let bytes = usize::try_from(bytes).ok()?;
        let room = MmapMut::map_anon(bytes).ok()?;
        if bytes >= HUGE_PAGE {
            ignore(room.advise(Advice::HugePage), "it is only a wish");
        }
        Some(Self { room, length: 0 })
    }

    /// With another piece, if there is room for it.
    fn with(mut self, piece: &[u8]) -> Option<Self> {
        let end = self.length + piece.len();
        if end > self.room.len() {
            self = Self::with_room(2 * end as u64)?.with(&self)?;
        }
        self.room[self.length..end].copy_from_slice(piece);
        self.length = end;
        Some(self)
    }
}

impl Deref for Memory {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.room[..self.length]
    }
}

/// A status line's number and its words (RFC 9110 section 15).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Status(pub(crate) u16, pub(crate) &'static str);

/// The type of a text for a person.
pub(crate) const PLAIN_TEXT: &str = "text/plain; charset=utf-8";

/// Fields of a response's head. No text from outside is in one.
pub(crate) type Fields = &'static [(&'static str, &'static str)];

/// Nobody keeps it.
pub(crate) const NO_STORE: (&str, &str) = ("Cache-Control", "no-store");

/// It is what its type says.
pub(crate) const NO_SNIFF: (&str, &str) = ("X-Content-Type-Options", "nosniff");

/// What goes back to the server.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: Status,
    /// What the body is.
    pub(crate) content_type: &'static str,
    /// What else the head says of it.
    pub(crate) fields: Fields,
    /// Text for a person; a final newline is added where it lacks one.
    pub(crate) body: String,
    /// Whether the body is left out, as a HEAD wants it. Not every server cuts it.
    pub(crate) head_only: bool,
}

impl Response {
    /// A document response (RFC 3875 section 6.2.1). `Status` comes first: busybox looks nowhere else.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let newline = if self.body.ends_with('\n') { "" } else { "\n" };
        let Status(number, words) = self.status;
        let mut head = format!("Status: {number} {words}\r\n");
        let mut field = |name: &str, value: &str| {
            head.extend([name, ": ", value, "\r\n"]);
        };
        field("Content-Type", self.content_type);
        for (name, value) in self.fields {
            field(name, value);
        }
        if number == 405 {
            // It is owed (RFC 9110 section 15.5.6).
            field("Allow", "GET, HEAD, POST");
        }
        let length = self.body.len() + newline.len();
        field("Content-Length", &length.to_string());
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
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

    /// The environment with these entries, written as `NAME=value;NAME=value`.
    fn env(entries: &str) -> Environment {
        entries
            .split(';')
            .filter_map(|entry| entry.split_once('='))
            .map(|(name, value)| (name.into(), value.into()))
            .collect()
    }

    #[test]
    fn a_length_is_digits_or_nothing() {
        #[track_caller]
        fn check(entries: &str, expected: Length) {
            let env = env(&format!("REQUEST_METHOD=POST;{entries}"));
            assert_eq!(Length::of(&env), expected, "{entries}");
        }
        check("", Length::Unsaid);
        check("CONTENT_LENGTH=", Length::Unsaid);
        check("CONTENT_LENGTH=0", Length::Exactly(0));
        check("CONTENT_LENGTH=007", Length::Exactly(7));
        let large = "CONTENT_LENGTH=18446744073709551616";
        check(large, Length::Exactly(u64::MAX));
        check("CONTENT_LENGTH=-1", Length::ToTheEnd);
        for wrong in ["-2", "+1", "1e3", " 1", "1 ", "0x10", "1, 1"] {
            check(&format!("CONTENT_LENGTH={wrong}"), Length::Unknown);
        }
        check("CONTENT_LENGTH=1;CONTENT_LENGTH=1", Length::Exactly(1));
        check("CONTENT_LENGTH=1;CONTENT_LENGTH=01", Length::Unknown);
        let chunked = "HTTP_TRANSFER_ENCODING=chunked";
        check(chunked, Length::ToTheEnd);
        check(&format!("CONTENT_LENGTH=3;{chunked}"), Length::Exactly(3));
        assert_eq!(Length::of(&env("")), Length::ToTheEnd);
    }
}
