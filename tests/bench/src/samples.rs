//! The messages. Each is one that rsip reads too, or there would be nothing to compare.

use bytes::Bytes;

/// A message of the measurement.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Its name in the table.
    pub name: &'static str,
    /// SIP.
    pub sip: Bytes,
    /// HTTP with as many headers and bytes.
    pub http: Bytes,
}

const REGISTER: &str = "REGISTER sip:example.test SIP/2.0\r\n\
Via: SIP/2.0/TLS 192.0.2.7:49152;rport;branch=z9hG4bK.tYq0w1Kx83hZpQ2m\r\n\
Max-Forwards: 70\r\n\
From: \"Alice\" <sip:alice@example.test>;tag=pf8K2mQz71\r\n\
To: <sip:alice@example.test>\r\n\
Call-ID: v9qk3-T0xw-7Qm2LrP8\r\n\
CSeq: 21 REGISTER\r\n\
Contact: <sip:alice@192.0.2.7:49152;transport=tls;ob>;expires=3600;reg-id=1\r\n\
Supported: path, outbound, gruu\r\n\
Allow: MESSAGE, NOTIFY, OPTIONS\r\n\
User-Agent: Aldis/0.1.0\r\n\
Authorization: Digest username=\"alice\", realm=\"example.test\", nonce=\"ZjQ3OGQ0YTk6MTczMjIzMTQ1NjpzaXA=\", \
uri=\"sip:example.test\", response=\"6629fae49393a05397450978507c4ef1\", algorithm=MD5, cnonce=\"0a4f113b\", \
qop=auth, nc=00000002, opaque=\"5ccc069c403ebaf9\"\r\n\
Expires: 3600\r\n\
Content-Length: 0\r\n\r\n";

const OK: &str = "SIP/2.0 200 OK\r\n\
Via: SIP/2.0/TLS 192.0.2.7:49152;received=192.0.2.7;rport=49152;branch=z9hG4bK.tYq0w1Kx83hZpQ2m\r\n\
From: \"Alice\" <sip:alice@example.test>;tag=pf8K2mQz71\r\n\
To: <sip:alice@example.test>;tag=4f1e6b4a0d2c.8c5a\r\n\
Call-ID: v9qk3-T0xw-7Qm2LrP8\r\n\
CSeq: 21 REGISTER\r\n\
Contact: <sip:alice@192.0.2.7:49152;transport=tls;ob>;expires=3600;reg-id=1\r\n\
Supported: path, outbound\r\n\
Server: kamailio (5.8.2 (x86_64/linux))\r\n\
Content-Length: 0\r\n\r\n";

const MESSAGE: &str = "MESSAGE sip:bob@192.0.2.9:5061;transport=tls SIP/2.0\r\n\
Via: SIP/2.0/TLS 192.0.2.7:49152;rport;branch=z9hG4bK.7hQm20pLs8Wz41Xa\r\n\
Max-Forwards: 70\r\n\
From: \"Alice\" <sip:alice@example.test>;tag=Zk31xPq0Lm\r\n\
To: <sip:bob@example.test>\r\n\
Call-ID: 0pQw9-71xZ-Lm2Ks93d\r\n\
CSeq: 1 MESSAGE\r\n\
Contact: <sip:alice@192.0.2.7:49152;transport=tls;ob>\r\n\
Date: Sat, 13 Nov 2010 23:29:00 GMT\r\n\
Content-Type: text/plain;charset=utf-8\r\n\
Content-Length: 41\r\n\r\n\
Are you coming to the lighthouse tonight?";

/// The HTTP message of the same shape: every line as long as the SIP one, with a name that HTTP parsers know no better.
fn http_like(sip: &str) -> String {
    let (head, body) = sip.split_once("\r\n\r\n").unwrap_or((sip, ""));
    let mut lines = head.split("\r\n");
    let first = lines.next().unwrap_or_default();
    let mut out = if first.starts_with("SIP/") {
        format!("HTTP/1.1 200 {}", "O".repeat(first.len().saturating_sub("HTTP/1.1 200 ".len())))
    } else {
        let room = first.len().saturating_sub("POST / HTTP/1.1".len());
        format!("POST /{} HTTP/1.1", "a".repeat(room))
    };
    for line in lines {
        out.push_str("\r\n");
        out.push_str(line);
    }
    out.push_str("\r\n\r\n");
    out.push_str(body);
    out
}

/// All samples.
pub fn all() -> Vec<Sample> {
    [("REGISTER", REGISTER), ("200", OK), ("MESSAGE", MESSAGE)]
        .map(|(name, sip)| Sample {
            name,
            sip: Bytes::from_static(sip.as_bytes()),
            http: http_like(sip).into(),
        })
        .into()
}
