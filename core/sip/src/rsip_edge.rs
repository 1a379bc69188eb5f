//! Messages as rsip's types, for programs that speak them.
//!
//! `rsip::SipMessage::try_from(&message)` and `Message::try_from(&rsip_message)`. rsip reads no bytes of the network here, and
//! writes none: values are handed over one by one, and what its types cannot hold is an [`RsipError`], never another value.
//! What rsip's own `typed()` makes of a header is rsip's; the headers that it is known to read wrongly are refused.

use crate::defect::Defect;
use crate::fields::{Contact, RecordRoute, Route, Via};
use crate::lex::is_token;
use crate::writer::is_line;
use crate::{Header, Message, Method, NameAddr, ParamValue, Params, Scheme, StartLine, StatusCode, Uri};
use rsip::headers::UntypedHeader;

/// Why a message or a part of it has no counterpart.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RsipError {
    /// The message itself is malformed.
    #[error("malformed: {0}")]
    Malformed(#[from] Defect),
    /// rsip's `Method` is a closed list.
    #[error("rsip has no method {0}")]
    Method(String),
    /// rsip's `Uri` holds sip and sips URIs without headers, and hosts and parameters of the forms that it knows.
    #[error("rsip cannot hold the URI {0}")]
    Uri(String),
    /// rsip has one phrase for each status code that it names.
    #[error("rsip cannot hold the reason phrase {phrase:?} with status {status}")]
    ReasonPhrase {
        /// The status code.
        status: u16,
        /// The phrase.
        phrase: String,
    },
    /// rsip holds text; this value is not UTF-8, or holds a control character.
    #[error("the value of {0} is no text of one line")]
    NotText(String),
    /// rsip would read another value out of this header than it has.
    #[error("rsip reads {0} wrongly")]
    Misread(String),
    /// The version is not SIP/2.0, the status code not from 100 to 699, or a header name no token.
    #[error("{0} cannot stand in a message")]
    NotSip(String),
    /// Content-Length says another length than the body has.
    #[error("Content-Length is {said}, the body has {is} bytes")]
    Length {
        /// What the header says.
        said: String,
        /// The length of the body.
        is: usize,
    },
}

macro_rules! headers {
    ($($ours:ident $theirs:ident),* $(,)?) => {
        /// A header of a name that is known, with this value.
        fn known(header: Header, value: &str) -> Option<rsip::Header> {
            Some(match header {
                $(Header::$ours => rsip::Header::$theirs(rsip::headers::$theirs::new(value)),)*
                _ => return None,
            })
        }
    };
}

headers! {
    Accept Accept, AcceptEncoding AcceptEncoding, AcceptLanguage AcceptLanguage, Allow Allow,
    AuthenticationInfo AuthenticationInfo, Authorization Authorization, CSeq CSeq, CallId CallId, CallInfo CallInfo,
    Contact Contact, ContentDisposition ContentDisposition, ContentEncoding ContentEncoding,
    ContentLanguage ContentLanguage, ContentLength ContentLength, ContentType ContentType, Date Date, ErrorInfo ErrorInfo,
    Event Event, Expires Expires, From From, MaxForwards MaxForwards, MimeVersion MimeVersion, MinExpires MinExpires,
    Organization Organization, Priority Priority, ProxyAuthenticate ProxyAuthenticate,
    ProxyAuthorization ProxyAuthorization, ProxyRequire ProxyRequire, RecordRoute RecordRoute, ReplyTo ReplyTo,
    Require Require, RetryAfter RetryAfter, Route Route, Server Server, Subject Subject,
    SubscriptionState SubscriptionState, Supported Supported, Timestamp Timestamp, To To, Unsupported Unsupported,
    UserAgent UserAgent, Via Via, Warning Warning, WwwAuthenticate WwwAuthenticate,
}

impl TryFrom<&Message> for rsip::SipMessage {
    type Error = RsipError;

    fn try_from(message: &Message) -> Result<Self, RsipError> {
        let headers = headers(message)?.into();
        let body = message.body().to_vec();
        let version = rsip::Version::V2;
        Ok(match message.start_line()? {
            StartLine::Request { method, .. } => {
                let uri = message.request_uri()?;
                let uri = uri.ok_or_else(|| RsipError::NotSip("a request without a URI".into()))?;
                let (method, uri) = (rsip_method(&method)?, rsip::Uri::try_from(&uri)?);
                rsip::Request { method, uri, version, headers, body }.into()
            }
            StartLine::Response { status, reason } => {
                let status_code = rsip_status(status, &reason)?;
                rsip::Response { status_code, version, headers, body }.into()
            }
        })
    }
}

impl TryFrom<Message> for rsip::SipMessage {
    type Error = RsipError;

    fn try_from(message: Message) -> Result<Self, RsipError> {
        (&message).try_into()
    }
}

/// All headers. Rows with several addresses or Vias become rows of one: rsip reads only the first of a row.
fn headers(message: &Message) -> Result<Vec<rsip::Header>, RsipError> {
    if let Some(defect) = message.line_defect() {
        return Err(defect.clone().into());
    }
    let cseq = message.cseq()?;
    rsip_method(&cseq.method)?;
    let mut out = Vec::new();
    let mut done = Vec::new();
    for field in message.fields() {
        if done.contains(&field.header) {
            continue;
        }
        if let Some(values) = rewritten(message, field.header)? {
            // All rows of the header, where its first one stands.
            done.push(field.header);
            out.extend(values.iter().filter_map(|value| known(field.header, value)));
            continue;
        }
        let not_text = || RsipError::NotText(field.name.into());
        let value =
            std::str::from_utf8(field.value).ok().filter(|value| is_line(value)).ok_or_else(not_text)?;
        let name = if field.header == Header::Other { field.name } else { field.header.name() };
        out.push(
            known(field.header, value).unwrap_or_else(|| rsip::Header::Other(name.into(), value.into())),
        );
    }
    Ok(out)
}

/// The values of a header of Vias or addresses, one by one and without white space around their parameters, which rsip's
/// typed headers lose; `None` for other headers.
fn rewritten(message: &Message, header: Header) -> Result<Option<Vec<String>>, RsipError> {
    let values: Vec<String> = match header {
        Header::From => vec![address(&message.from()?.0)?],
        Header::To => vec![address(&message.to()?.0)?],
        Header::Via => message.all().map(|via| self::via(&via?)).collect::<Result<_, _>>()?,
        Header::Contact => {
            message.contacts().map(|contact| self::contact(&contact?)).collect::<Result<_, _>>()?
        }
        Header::Route => {
            message.all::<Route<'_>>().map(|route| address(&*route?)).collect::<Result<_, _>>()?
        }
        Header::RecordRoute => {
            message.all::<RecordRoute<'_>>().map(|route| address(&*route?)).collect::<Result<_, _>>()?
        }
        _ => return Ok(None),
    };
    match values.iter().all(|value| is_line(value)) {
        true => Ok(Some(values)),
        false => Err(RsipError::NotText(header.name().into())),
    }
}

fn via(via: &Via<'_>) -> Result<String, RsipError> {
    if via.sent_by.host.starts_with('[') {
        return Err(RsipError::Misread("an IPv6 address in Via".into()));
    }
    // It stops at a value that is no token, and takes what it has.
    let odd = |value: ParamValue<'_>| !matches!(value, ParamValue::Token(text) if is_token(text));
    if let Some((name, _)) = via.params.iter().find(|(_, value)| value.is_some_and(odd)) {
        return Err(RsipError::Misread(format!("the parameter {name} of Via")));
    }
    Ok(format!("SIP/2.0/{} {}{}", via.transport, via.sent_by, close(&via.params)))
}

fn contact(contact: &Contact<'_>) -> Result<String, RsipError> {
    match contact.address() {
        Some(of) => address(of),
        None => Ok(contact.to_string()),
    }
}

fn address(value: &NameAddr<'_>) -> Result<String, RsipError> {
    check_address(value)?;
    let bare = value.clone().with_params(Params::none());
    Ok(format!("{bare}{}", close(&value.params)))
}

/// Parameters with no white space around them.
fn close(params: &Params<'_>) -> String {
    let mut out = String::new();
    for (name, value) in params.iter() {
        out.push(';');
        out.push_str(name);
        match value {
            None => {}
            Some(ParamValue::Token(text)) => out.extend(["=", text]),
            Some(ParamValue::Quoted(quoted)) => out.extend(["=\"", quoted.raw(), "\""]),
        }
    }
    out
}

/// rsip's typed headers take the display name with its quotes, and lose a user with a dot, parameters of the URI with an
/// escape, and what follows a `>` in quotes.
fn check_address(address: &NameAddr<'_>) -> Result<(), RsipError> {
    rsip::Uri::try_from(&address.uri)?;
    let misread = |what: &str| Err(RsipError::Misread(format!("{what} in {address}")));
    if address
        .uri
        .raw_user()
        .is_some_and(|user| !user.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_+!~*".contains(&b)))
    {
        return misread("the user part");
    }
    if address.uri.password().is_some() {
        return misread("the password");
    }
    if address.uri.host_address().is_some_and(|host| host.is_ipv6()) {
        return misread("an IPv6 address");
    }
    if address.display().is_some_and(|name| name.contains(['"', '\\', '<', '>', ',', ';', '@'])) {
        return misread("the display name");
    }
    Ok(())
}

fn rsip_method(method: &Method<'_>) -> Result<rsip::Method, RsipError> {
    let name = method.as_str();
    rsip::Method::all()
        .into_iter()
        .find(|known| known.to_string() == name)
        .ok_or_else(|| RsipError::Method(name.into()))
}

fn rsip_status(status: StatusCode, reason: &str) -> Result<rsip::StatusCode, RsipError> {
    let wrong = || RsipError::ReasonPhrase { status: status.code(), phrase: reason.into() };
    if !is_line(reason) || reason.contains('\u{fffd}') {
        return Err(wrong());
    }
    match rsip::StatusCode::from(status.code()) {
        rsip::StatusCode::Other(code, _) => Ok(rsip::StatusCode::Other(code, reason.into())),
        known if reason == status.reason() => Ok(known),
        _ => Err(wrong()),
    }
}

impl TryFrom<&Uri<'_>> for rsip::Uri {
    type Error = RsipError;

    fn try_from(uri: &Uri<'_>) -> Result<Self, RsipError> {
        let wrong = || RsipError::Uri(uri.to_string());
        let scheme = match uri.scheme() {
            Scheme::Sip => rsip::Scheme::Sip,
            Scheme::Sips => rsip::Scheme::Sips,
            _ => return Err(wrong()),
        };
        if uri.has_headers() {
            return Err(wrong());
        }
        let host = match uri.host_address() {
            Some(address) => rsip::Host::IpAddr(address),
            None => rsip::Host::Domain(uri.host().ok_or_else(wrong)?.into()),
        };
        let auth = uri.raw_user().map(|user| (user, uri.password()).into());
        let params =
            uri.raw_params().map(rsip::Param::try_from).collect::<Result<_, _>>().map_err(|_| wrong())?;
        let host_with_port = rsip::HostWithPort { host, port: uri.port().map(Into::into) };
        let held = rsip::Uri { scheme: Some(scheme), auth, host_with_port, params, headers: Vec::new() };
        // Some parameters have types of their own, which may not print as they were.
        let same = Uri::try_from(&held).is_ok_and(|again| again.equivalent(uri));
        if same { Ok(held) } else { Err(wrong()) }
    }
}

impl TryFrom<&rsip::Uri> for Uri<'static> {
    type Error = RsipError;

    /// rsip prints IPv6 addresses without brackets and forgets headers; this does neither.
    fn try_from(uri: &rsip::Uri) -> Result<Self, RsipError> {
        let wrong = || RsipError::Uri(uri.to_string());
        if !uri.headers.is_empty() {
            return Err(wrong());
        }
        let scheme = match &uri.scheme {
            Some(rsip::Scheme::Sip) => "sip:",
            Some(rsip::Scheme::Sips) => "sips:",
            _ => return Err(wrong()),
        };
        let mut text = String::from(scheme);
        if let Some(auth) = &uri.auth {
            text.push_str(&auth.to_string());
            text.push('@');
        }
        match &uri.host_with_port.host {
            rsip::Host::IpAddr(address @ std::net::IpAddr::V6(_)) => text.push_str(&format!("[{address}]")),
            host => text.push_str(&host.to_string()),
        }
        if let Some(port) = &uri.host_with_port.port {
            text.push_str(&format!(":{port}"));
        }
        for param in &uri.params {
            text.push_str(&param.to_string());
        }
        let read = Uri::parse(text).map_err(|_| wrong())?;
        // A part that holds a delimiter would be read as another part.
        let user = uri.auth.as_ref().map(|auth| auth.user.as_str());
        let password = uri.auth.as_ref().and_then(|auth| auth.password.as_deref());
        let same = read.raw_user() == user
            && read.password() == password
            && read.port() == uri.host_with_port.port.map(u16::from)
            && read.raw_params().count() == uri.params.len()
            && !read.has_headers();
        if same { Ok(read) } else { Err(wrong()) }
    }
}

impl TryFrom<&rsip::SipMessage> for Message {
    type Error = RsipError;

    /// Takes a message that was built with rsip's types. A missing Content-Length is added (RFC 3261 §18.3).
    fn try_from(message: &rsip::SipMessage) -> Result<Self, RsipError> {
        if *message.version() != rsip::Version::V2 {
            return Err(RsipError::NotSip(message.version().to_string()));
        }
        let mut text = match message {
            rsip::SipMessage::Request(request) => {
                format!("{} {} SIP/2.0\r\n", request.method, Uri::try_from(&request.uri)?)
            }
            rsip::SipMessage::Response(response) => status_line(&response.status_code)?,
        };
        let body = message.body();
        let mut has_length = false;
        for header in rsip::message::HasHeaders::headers(message).iter() {
            let (name, value) = match header {
                rsip::Header::Other(name, value) => (name.clone(), value.clone()),
                header => {
                    let printed = header.to_string();
                    let (name, value) = printed.split_once(':').unwrap_or((&printed, ""));
                    (name.to_owned(), value.strip_prefix(' ').unwrap_or(value).to_owned())
                }
            };
            if !is_token(&name) {
                return Err(RsipError::NotSip(format!("a header named {name:?}")));
            }
            if !is_line(&value) {
                return Err(RsipError::NotText(name));
            }
            if Header::of(name.as_bytes()) == Header::ContentLength {
                if value.trim().parse() != Ok(body.len()) {
                    return Err(RsipError::Length { said: value, is: body.len() });
                }
                has_length = true;
            }
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if !has_length {
            text.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        text.push_str("\r\n");
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(body);
        let (read, _) = Message::parse(bytes.into())?;
        read.start_line()?;
        match read.line_defect() {
            Some(defect) => Err(defect.clone().into()),
            None => Ok(read),
        }
    }
}

impl TryFrom<rsip::SipMessage> for Message {
    type Error = RsipError;

    fn try_from(message: rsip::SipMessage) -> Result<Self, RsipError> {
        (&message).try_into()
    }
}

/// The first line of a response, with the phrase that RFC 3261 gives where rsip has the name of a variant.
fn status_line(status: &rsip::StatusCode) -> Result<String, RsipError> {
    let code = StatusCode::new(status.code())
        .ok_or_else(|| RsipError::NotSip(format!("status {}", status.code())))?;
    let reason = match status {
        rsip::StatusCode::Other(_, reason) => reason,
        _ => code.reason(),
    };
    if !is_line(reason) {
        return Err(RsipError::ReasonPhrase { status: code.code(), phrase: reason.into() });
    }
    Ok(format!("SIP/2.0 {code} {reason}\r\n"))
}
