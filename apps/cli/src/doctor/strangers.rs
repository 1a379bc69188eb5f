//! What answers where no acceptable TLS is: a web server, a mail server, TLS of another age.
//!
//! One more connection is opened, a ClientHello is sent on it, and the first bytes that come back are looked at. It ends
//! there: no handshake is finished, no version or suite of that ClientHello is ever used, and nothing of SIP is sent.

use crate::printable;
use aldis::net::{Candidates, Pace, connect_tcp};
use aldis_sip::ReferenceIdentity;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

/// How long the answer is waited for.
const LIMIT: Duration = Duration::from_secs(3);
/// How much of the answer is looked at, in bytes: a greeting, or a ServerHello up to its cipher suite.
const MAX_ANSWER: usize = 512;

/// Up to which version the ClientHello goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Upto {
    /// For servers that refuse every version that we accept.
    Tls11 = 0x0302,
    /// For servers that refuse every cipher suite that we accept.
    Tls12 = 0x0303,
}

/// What answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stranger {
    /// TLS: the version and cipher suite that it chose.
    Tls { version: u16, suite: u16 },
    /// Something that speaks in lines: what it is, and its first line.
    Talks(&'static str, String),
    /// Other bytes.
    Other,
    /// Nothing, or the end of the connection.
    Nothing,
}

/// Looks at what is at that address.
pub(super) async fn look(
    address: SocketAddr,
    identity: &ReferenceIdentity,
    upto: Upto,
    deadline: Instant,
) -> Stranger {
    let deadline = deadline.min(Instant::now() + LIMIT);
    let mut candidates = Candidates::known([address]);
    let Ok((mut stream, _)) = connect_tcp(&mut candidates, &Pace::default(), deadline).await else {
        return Stranger::Nothing;
    };
    let hello = client_hello(identity, upto);
    let mut answer = Vec::new();
    let read = async {
        stream.write_all(&hello).await?;
        while answer.len() < MAX_ANSWER && !is_enough(&answer) {
            if stream.read_buf(&mut answer).await? == 0 {
                break;
            }
        }
        Ok::<(), std::io::Error>(())
    };
    // What came before an error or the end of the time counts all the same.
    let _ = timeout_at(deadline, read).await;
    recognise(&answer)
}

/// A whole first line, or a whole ServerHello's beginning.
fn is_enough(answer: &[u8]) -> bool {
    const SERVER_HELLO: usize = 5 + 4 + 2 + 32 + 1 + 32 + 2;
    answer.len() >= SERVER_HELLO || (answer.first() != Some(&HANDSHAKE) && answer.contains(&b'\n'))
}

const HANDSHAKE: u8 = 22;
const ALERT: u8 = 21;

fn recognise(answer: &[u8]) -> Stranger {
    match answer.first() {
        None => return Stranger::Nothing,
        Some(&HANDSHAKE) => return server_hello(answer).unwrap_or(Stranger::Other),
        Some(&ALERT) => return Stranger::Other,
        Some(_) => {}
    }
    let first = answer.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let Ok(line) = std::str::from_utf8(first) else { return Stranger::Other };
    let line = line.trim_end();
    const KNOWN: [(&str, &str); 8] = [
        ("HTTP/", "a web server"),
        ("<", "a web server"),
        ("SIP/", "a SIP server that speaks without TLS on this port"),
        ("SSH-", "an SSH server"),
        ("220", "a mail or file server"),
        ("+OK", "a mail server"),
        ("* OK", "a mail server"),
        ("RFB ", "a remote desktop"),
    ];
    let kind = KNOWN.iter().find(|(begin, _)| line.starts_with(begin)).map(|(_, kind)| *kind);
    let shown: String = printable::line(line).chars().take(60).collect();
    match kind {
        Some(kind) => Stranger::Talks(kind, shown),
        None if line.len() > 3 && line.bytes().all(|byte| (b' '..=b'~').contains(&byte)) => {
            Stranger::Talks("something that speaks in clear text", shown)
        }
        None => Stranger::Other,
    }
}

/// The version and cipher suite of a ServerHello (RFC 5246 §7.4.1.3).
fn server_hello(record: &[u8]) -> Option<Stranger> {
    const SERVER_HELLO: u8 = 2;
    let message = record.get(5..)?;
    if message.first() != Some(&SERVER_HELLO) {
        return None;
    }
    let version = u16::from_be_bytes(message.get(4..6)?.try_into().ok()?);
    let session = usize::from(*message.get(38)?);
    let suite = message.get(39 + session..)?.first_chunk::<2>()?;
    Some(Stranger::Tls { version, suite: u16::from_be_bytes(*suite) })
}

/// A ClientHello that old servers understand (RFC 4346 §7.4.1.2, RFC 6066 §3, RFC 8422 §5.1).
fn client_hello(identity: &ReferenceIdentity, upto: Upto) -> Vec<u8> {
    /// ECDHE and RSA with AES-CBC and 3DES, ECDHE and RSA with AES-GCM.
    const SUITES: [u16; 11] =
        [0xc014, 0xc013, 0xc00a, 0xc009, 0x0035, 0x002f, 0x000a, 0xc030, 0xc02f, 0x009d, 0x009c];
    /// P-256, P-384, P-521.
    const GROUPS: [u16; 3] = [23, 24, 25];
    /// PKCS#1 and ECDSA with SHA-256, SHA-384, SHA-1.
    const SIGNATURES: [u16; 6] = [0x0401, 0x0403, 0x0501, 0x0503, 0x0201, 0x0203];
    let mut extensions = Vec::new();
    if let ReferenceIdentity::Domain(domain) = identity {
        let name = [&[0u8][..], &with_length(domain.as_str().as_bytes())].concat();
        extensions.extend(extension(0, &with_length(&name)));
    }
    extensions.extend(extension(10, &with_length(&numbers(&GROUPS))));
    // Uncompressed points.
    extensions.extend(extension(11, &[1, 0]));
    if upto == Upto::Tls12 {
        extensions.extend(extension(13, &with_length(&numbers(&SIGNATURES))));
    }
    let mut body = (upto as u16).to_be_bytes().to_vec();
    // The random of a handshake that is never finished protects nothing.
    body.extend(uuid::Uuid::new_v4().as_bytes());
    body.extend(uuid::Uuid::new_v4().as_bytes());
    body.push(0);
    body.extend(with_length(&numbers(&SUITES)));
    body.extend([1, 0]);
    body.extend(with_length(&extensions));
    // The message's length has three bytes; no ClientHello needs the first.
    let message = [&[1u8, 0][..], &with_length(&body)].concat();
    [&[HANDSHAKE, 3, 1][..], &with_length(&message)].concat()
}

fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &with_length(content)].concat()
}

fn numbers(list: &[u16]) -> Vec<u8> {
    list.iter().flat_map(|number| number.to_be_bytes()).collect()
}

/// With its length in two bytes before it.
fn with_length(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    [&length.to_be_bytes()[..], bytes].concat()
}

/// The name of a version of TLS.
pub(super) fn version_name(version: u16) -> &'static str {
    match version {
        0x0300 => "SSL 3.0",
        0x0301 => "TLS 1.0",
        0x0302 => "TLS 1.1",
        0x0303 => "TLS 1.2",
        _ => "an unknown version of TLS",
    }
}

/// The name of a cipher suite in IANA's registry.
pub(super) fn suite_name(suite: u16) -> String {
    let name = match suite {
        0x000a => "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
        0x002f => "TLS_RSA_WITH_AES_128_CBC_SHA",
        0x0035 => "TLS_RSA_WITH_AES_256_CBC_SHA",
        0x009c => "TLS_RSA_WITH_AES_128_GCM_SHA256",
        0x009d => "TLS_RSA_WITH_AES_256_GCM_SHA384",
        0xc009 => "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
        0xc00a => "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
        0xc013 => "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
        0xc014 => "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
        0xc02f => "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        0xc030 => "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        other => return format!("number {other:#06x}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_answers_is_recognised_by_its_first_bytes() {
        for (answer, kind) in [
            ("HTTP/1.1 400 Bad Request\r\nServer: x\r\n", "a web server"),
            ("SSH-2.0-OpenSSH_9.2\r\n", "an SSH server"),
            ("220 mx ESMTP\r\n", "a mail or file server"),
            ("hello\r\n", "something that speaks in clear text"),
        ] {
            let Stranger::Talks(found, line) = recognise(answer.as_bytes()) else { panic!("{answer}") };
            assert_eq!((found, line.as_str()), (kind, answer.lines().next().unwrap()));
        }
        assert_eq!(recognise(b""), Stranger::Nothing);
        assert_eq!(recognise(&[0xff; 20]), Stranger::Other);
        assert_eq!(recognise(b"\x1b[2J\n"), Stranger::Other);
    }

    #[test]
    fn a_server_hello_tells_version_and_suite_and_no_length_of_it_is_believed() {
        let mut hello = vec![22, 3, 1, 0, 50, 2, 0, 0, 46, 3, 2];
        hello.extend([7; 32]);
        hello.extend([4, 1, 2, 3, 4, 0x00, 0x2f, 0]);
        assert_eq!(recognise(&hello), Stranger::Tls { version: 0x0302, suite: 0x002f });
        for end in 1..hello.len() - 1 {
            assert_eq!(recognise(&hello[..end]), Stranger::Other, "{end}");
        }
        hello[43] = 255;
        assert_eq!(recognise(&hello), Stranger::Other);
    }
}
