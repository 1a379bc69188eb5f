//! A message, and how its parts are reached.

use crate::defect::{Defect, Fault, Place, Problem};
use crate::fields::{
    At, CSeq, CallId, Contact, ContentLength, ContentType, FieldValue, From, To, Values, Via,
};
use crate::head::{self, Head};
use crate::lex::Cursor;
use crate::lines::{Line, Span};
use crate::start::Start;
use crate::{Header, Method, StatusCode, Uri};
use bytes::Bytes;
use std::borrow::Cow;

/// A message as it was received: its bytes, and where its parts stand. Cheap to clone.
///
/// Header values are read when they are asked for, without copying; what they borrow is the message.
///
/// ```
/// use aldis_sip::{Message, fields::From};
/// let text = "OPTIONS sip:bob@example.test SIP/2.0\r\nf: \"Alice\" <sip:alice@example.test>;tag=1\r\n\r\n";
/// let (message, _) = Message::parse(text.into()).unwrap();
/// let from = message.get::<From>().unwrap().unwrap();
/// assert_eq!(from.display().unwrap(), "Alice");
/// ```
#[derive(Clone, Debug)]
pub struct Message {
    head: Box<Head>,
    /// Content-Length, if it was read already.
    content_length: Option<u64>,
    body: Bytes,
}

/// The first line of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartLine<'a> {
    /// A request.
    Request {
        /// The method.
        method: Method<'a>,
        /// The Request-URI as text; [`Message::request_uri`] reads it.
        uri: &'a str,
    },
    /// A response.
    Response {
        /// The status code.
        status: StatusCode,
        /// The reason phrase as received; bytes that are not UTF-8 become U+FFFD.
        reason: Cow<'a, str>,
    },
}

/// One header line as received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// Which header.
    pub header: Header,
    /// The name as received.
    pub name: &'a str,
    /// The value, unfolded, without white space at its ends.
    pub value: &'a [u8],
}

impl Message {
    /// Takes one message from the beginning of `bytes`, as from a datagram: Content-Length governs, without it the rest
    /// is the body (RFC 3261 §18.3). Also says how many bytes remain.
    ///
    /// This is the lexical part alone; [`crate::judge()`] says what a receiver does with the message.
    ///
    /// # Errors
    /// [`Defect`] if there is no message: no end of the head, or a body shorter than announced.
    pub fn parse(bytes: Bytes) -> Result<(Message, usize), Defect> {
        let (mut message, rest) = Message::parse_head(bytes)?;
        message.content_length = message.read_content_length()?;
        let length = match message.content_length {
            None => rest.len(),
            Some(length) => usize::try_from(length).unwrap_or(usize::MAX),
        };
        if length > rest.len() {
            let offset = message.head_length() + rest.len();
            return Err(message.defect_at(Place::Body, offset, Problem::Truncated));
        }
        let remaining = rest.len() - length;
        message.body = rest;
        message.body.truncate(length);
        Ok((message, remaining))
    }

    /// The head alone, and what follows it.
    #[inline(always)]
    pub(crate) fn parse_head(mut bytes: Bytes) -> Result<(Message, Bytes), Defect> {
        let mut head = Box::new(Head::NEW);
        head::lex(&mut bytes, &mut head)?;
        Ok((Message { head, content_length: None, body: Bytes::new() }, bytes))
    }

    /// The lines of a head that has no end; `None` if they make no head at all.
    pub(crate) fn parse_unterminated(bytes: Bytes) -> Option<Message> {
        let head = head::lex_unterminated(bytes)?;
        Some(Message { head: Box::new(head), content_length: None, body: Bytes::new() })
    }

    pub(crate) fn with_body(mut self, body: Bytes) -> Self {
        self.body = body;
        self
    }

    fn defect_at(&self, place: Place, offset: usize, problem: Problem) -> Defect {
        Defect { place, offset, problem }
    }

    /// A fault in the value of `line`, with its offset as received.
    #[cold]
    fn defect(&self, line: &Line, fault: Fault) -> Defect {
        let name = String::from_utf8_lossy(line.name.of(self.head.text.bytes())).into_owned();
        let offset = self.head.received_offset(usize::from(line.value.start) + fault.at);
        self.defect_at(Place::Field(name), offset, fault.problem)
    }

    /// The length of the head as received, with the empty line, in bytes.
    pub fn head_length(&self) -> usize {
        self.head.received_length()
    }

    /// The first line, or what is wrong with it.
    ///
    /// # Errors
    /// [`Defect`] if it is neither a request line nor a status line.
    pub fn start_line(&self) -> Result<StartLine<'_>, Defect> {
        let text = |span: &Span| span.of(self.head.text.bytes());
        match &self.head.start {
            Start::Bad { defect, .. } => Err(Defect::clone(defect)),
            Start::Response { status, reason } => {
                Ok(StartLine::Response { status: *status, reason: String::from_utf8_lossy(text(reason)) })
            }
            Start::Request { method, uri } => {
                let not_text = || self.defect_at(Place::StartLine, 0, Problem::NotAStartLine);
                let uri = std::str::from_utf8(text(uri)).map_err(|_| not_text())?;
                let method =
                    std::str::from_utf8(text(method)).ok().and_then(Method::new).ok_or_else(not_text)?;
                Ok(StartLine::Request { method, uri })
            }
        }
    }

    /// Whether this is (or tries to be) a response.
    pub fn is_response(&self) -> bool {
        matches!(self.head.start, Start::Response { .. } | Start::Bad { response: true, .. })
    }

    /// The method of a request; `None` for a response.
    pub fn method(&self) -> Option<Method<'_>> {
        match self.start_line() {
            Ok(StartLine::Request { method, .. }) => Some(method),
            _ => None,
        }
    }

    /// The status code of a response; `None` for a request.
    pub fn status(&self) -> Option<StatusCode> {
        match &self.head.start {
            Start::Response { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// The Request-URI of a request; `None` for a response.
    ///
    /// # Errors
    /// [`Defect`] if it is no URI, or has headers (RFC 3261 §19.1.1, table 1).
    pub fn request_uri(&self) -> Result<Option<Uri<'_>>, Defect> {
        let Start::Request { uri: span, .. } = &self.head.start else { return Ok(None) };
        let defect = |fault: Fault| {
            self.defect_at(Place::StartLine, usize::from(span.start) + fault.at, fault.problem)
        };
        let text = self.head.text.str(span).map_err(|at| defect(Fault::new(at, Problem::NotUtf8)))?;
        let uri = Uri::parse(text).map_err(defect)?;
        if uri.has_headers() {
            return Err(defect(Fault::new(0, Problem::UriHeaders)));
        }
        Ok(Some(uri))
    }

    /// All header lines, in their order.
    pub fn fields(&self) -> impl Iterator<Item = Field<'_>> {
        self.head.lines.from(0).map(|line| Field {
            header: line.header,
            // Names are tokens, and tokens are ASCII.
            name: self.head.text.str(&line.name).unwrap_or_default(),
            value: line.value.of(self.head.text.bytes()),
        })
    }

    #[inline]
    fn text(&self, line: &Line) -> Result<&str, Defect> {
        self.head.text.str(&line.value).map_err(|at| self.defect(line, Fault::new(at, Problem::NotUtf8)))
    }

    /// Whether the header is there at all.
    pub fn has(&self, header: Header) -> bool {
        self.head.lines.has(header)
    }

    /// Whether the header has more than one line.
    pub(crate) fn is_repeated(&self, header: Header) -> bool {
        self.head.lines.is_repeated(header)
    }

    /// How many lines of this header there are.
    pub fn count(&self, header: Header) -> usize {
        self.head.lines.of(header).count()
    }

    /// The value of a header as text, from its first line; `None` if it is absent or not UTF-8.
    pub fn value(&self, header: Header) -> Option<&str> {
        self.head.lines.of(header).next().and_then(|line| self.text(line).ok())
    }

    /// The value of the first line of a header whose name this crate does not know.
    pub fn value_of(&self, name: &str) -> Option<&str> {
        let mut fields = self.fields();
        let field = fields.find(|field| field.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(field.value).ok()
    }

    /// The first value of a header; `None` if it is absent.
    ///
    /// # Errors
    /// [`Defect`] if it is malformed.
    #[inline(always)]
    pub fn get<'a, V: FieldValue<'a>>(&'a self) -> Result<Option<V>, Defect> {
        // An empty list has no value; the next line may have one.
        for line in self.head.lines.of(V::HEADER) {
            if !(V::MAY_BE_EMPTY && line.value.length == 0) {
                return self.value_of_line(line).map(Some);
            }
        }
        Ok(None)
    }

    /// All values of a header, over all its lines and commas, in their order. A line that is malformed ends in an error;
    /// the lines behind it are read all the same.
    pub fn all<'a, V: FieldValue<'a>>(&'a self) -> impl Iterator<Item = Result<V, Defect>> {
        let mut lines = self.head.lines.of(V::HEADER);
        let mut current: Option<(&Line, Values<'a, V>)> = None;
        std::iter::from_fn(move || {
            loop {
                if let Some((line, values)) = &mut current
                    && let Some(value) = values.next()
                {
                    return Some(value.map_err(|fault| self.defect(line, fault)));
                }
                let line = lines.next()?;
                match self.text(line) {
                    Ok(text) => current = Some((line, Values::new(text))),
                    Err(defect) => {
                        current = None;
                        return Some(Err(defect));
                    }
                }
            }
        })
    }

    /// The first value of a header that never is an empty list.
    #[inline(always)]
    fn mandatory<'a, V: FieldValue<'a>>(&'a self) -> Result<V, Defect> {
        match self.head.lines.first(V::HEADER) {
            Some(line) => self.value_of_line(line),
            None => Err(self.missing(V::HEADER)),
        }
    }

    /// The first value of a line.
    #[inline(always)]
    fn value_of_line<'a, V: FieldValue<'a>>(&'a self, line: &'a Line) -> Result<V, Defect> {
        let mut at = At(Cursor::new(self.text(line)?));
        match V::read(&mut at) {
            // Lines have no white space at their ends.
            Ok(value) if at.0.is_end() => Ok(value),
            read => self.value_with_more(line, at.0, read),
        }
    }

    /// What was read of a line, if what follows it may follow it.
    #[inline(never)]
    fn value_with_more<'a, V: FieldValue<'a>>(
        &'a self,
        line: &'a Line,
        mut rest: Cursor<'a>,
        read: Result<V, Fault>,
    ) -> Result<V, Defect> {
        rest.skip_wsp();
        match read {
            Ok(value) if rest.is_end() || V::LIST && rest.peek() == Some(b',') => Ok(value),
            Ok(_) => Err(self.defect(line, Fault::new(rest.at(), Problem::Trailing))),
            Err(fault) => Err(self.defect(line, fault)),
        }
    }

    pub(crate) fn missing(&self, header: Header) -> Defect {
        self.defect_at(Place::header(header), self.head_length(), Problem::Missing)
    }

    /// A defect of the header's last line, at its beginning.
    pub(crate) fn blame(&self, header: Header, problem: Problem) -> Defect {
        match self.head.lines.of(header).last() {
            Some(line) => self.defect(line, Fault::new(0, problem)),
            None => self.missing(header),
        }
    }

    /// A defect of the header's first line, at its beginning.
    pub(crate) fn blame_first(&self, header: Header, problem: Problem) -> Defect {
        match self.head.lines.of(header).next() {
            Some(line) => self.defect(line, Fault::new(0, problem)),
            None => self.missing(header),
        }
    }

    /// The topmost Via.
    ///
    /// # Errors
    /// [`Defect`] if it is missing or malformed; so for the other four.
    #[inline(always)]
    pub fn via(&self) -> Result<Via<'_>, Defect> {
        self.mandatory()
    }

    /// From.
    ///
    /// # Errors
    /// As [`Message::via`].
    #[inline(always)]
    pub fn from(&self) -> Result<From<'_>, Defect> {
        self.mandatory()
    }

    /// To.
    ///
    /// # Errors
    /// As [`Message::via`].
    #[inline(always)]
    pub fn to(&self) -> Result<To<'_>, Defect> {
        self.mandatory()
    }

    /// Call-ID.
    ///
    /// # Errors
    /// As [`Message::via`].
    #[inline(always)]
    pub fn call_id(&self) -> Result<CallId<'_>, Defect> {
        self.mandatory()
    }

    /// CSeq.
    ///
    /// # Errors
    /// As [`Message::via`].
    #[inline(always)]
    pub fn cseq(&self) -> Result<CSeq<'_>, Defect> {
        self.mandatory()
    }

    /// All Contacts.
    pub fn contacts(&self) -> impl Iterator<Item = Result<Contact<'_>, Defect>> {
        self.all()
    }

    /// Content-Type.
    ///
    /// # Errors
    /// [`Defect`] if it is malformed.
    pub fn content_type(&self) -> Result<Option<ContentType<'_>>, Defect> {
        self.get()
    }

    /// Content-Length, which may be repeated if it says the same.
    ///
    /// # Errors
    /// [`Defect`] if it is not a number, or if two lines differ.
    pub fn content_length(&self) -> Result<Option<u64>, Defect> {
        if self.content_length.is_some() { Ok(self.content_length) } else { self.read_content_length() }
    }

    #[inline(always)]
    fn read_content_length(&self) -> Result<Option<u64>, Defect> {
        if self.is_repeated(Header::ContentLength) {
            return self.repeated_content_length();
        }
        let Some(line) = self.head.lines.first(Header::ContentLength) else { return Ok(None) };
        self.value_of_line(line).map(|ContentLength(length)| Some(length))
    }

    #[inline(never)]
    fn repeated_content_length(&self) -> Result<Option<u64>, Defect> {
        let mut length = None;
        for value in self.all::<ContentLength>() {
            let ContentLength(value) = value?;
            if *length.get_or_insert(value) != value {
                return Err(self.blame(Header::ContentLength, Problem::ContentLength));
            }
        }
        Ok(length)
    }

    /// The body.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The first defect of the header lines as lines.
    pub(crate) fn line_defect(&self) -> Option<&Defect> {
        self.head.defect.as_deref()
    }

    /// The head, unfolded.
    pub(crate) fn head_bytes(&self) -> &[u8] {
        self.head.text.bytes()
    }

    /// The message as bytes: the lines as received, folds as one space, white space around names and values normal.
    pub fn to_bytes(&self) -> Bytes {
        let mut out = Vec::with_capacity(self.head.text.bytes().len() + self.body.len());
        let first = memchr::memchr(b'\r', self.head.text.bytes()).unwrap_or(self.head.text.bytes().len());
        out.extend_from_slice(self.head.text.bytes().get(..first).unwrap_or_default());
        out.extend_from_slice(b"\r\n");
        for field in self.fields() {
            out.extend_from_slice(field.name.as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(field.value);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&self.body);
        out.into()
    }
}
