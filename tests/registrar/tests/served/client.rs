//! A SIP client of a few lines over rustls: it sends what a test says and reads what comes.

use aldis_registrar::{Options, Registrar};
use aldis_sip::auth::{Answer, Challenge, DigestChallenge, Login, NonceCount, Target};
use aldis_sip::{Frame, Framer, Header, Judgement, Message, Secret};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub const DOMAIN: &str = "example.test";
pub const PASSWORD: &str = "builder";
/// More than any timer of the server, for tests in virtual time; no test waits for it in real time.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A registrar for alice, bob and carol.
pub fn options() -> Options {
    ["alice", "bob", "carol"].iter().fold(Options::new(DOMAIN), |options, user| options.user(*user, PASSWORD))
}

/// What came from the server.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // looked at where it is made
pub enum Came {
    Message(Message),
    LineEnd,
    /// Bytes that are not SIP, or a defect.
    Garbage,
    Closed,
}

pub struct Client {
    pub stream: TlsStream<TcpStream>,
    framer: Framer,
    pub user: String,
    pub password: String,
    pub call_id: String,
    pub cseq: u32,
    /// Contact parameters beyond the URI.
    pub contact: String,
    challenge: Option<(Header, DigestChallenge)>,
    count: u32,
}

pub async fn handshake(
    address: SocketAddr,
    root: CertificateDer<'static>,
    name: &'static str,
    versions: &[&'static SupportedProtocolVersion],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(root).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tcp = TcpStream::connect(address).await?;
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from(name).unwrap(), tcp).await
}

impl Client {
    pub async fn connect(registrar: &Registrar, user: &str) -> Client {
        let root = registrar.root_der().unwrap();
        let stream = handshake(registrar.address(), root, DOMAIN, rustls::ALL_VERSIONS).await.unwrap();
        Client {
            stream,
            framer: Framer::new(),
            user: user.into(),
            password: PASSWORD.into(),
            call_id: format!("call-of-{user}"),
            cseq: 0,
            contact: String::new(),
            challenge: None,
            count: 0,
        }
    }

    /// Connects and registers.
    pub async fn registered(registrar: &Registrar, user: &str) -> Client {
        let mut client = Client::connect(registrar, user).await;
        assert_eq!(client.register("").await.status().unwrap().code(), 200);
        client
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    pub async fn next(&mut self) -> Came {
        loop {
            match self.framer.next() {
                Some(Frame::LineEnd) => return Came::LineEnd,
                Some(Frame::Judged(Judgement::Message(message))) => return Came::Message(message),
                Some(Frame::Judged(_)) => return Came::Garbage,
                None => {}
            }
            let mut buffer = [0; 4096];
            let read = tokio::time::timeout(PATIENCE, self.stream.read(&mut buffer)).await;
            match read.expect("the server says nothing") {
                Ok(0) | Err(_) => return Came::Closed,
                Ok(length) => self.framer.push(&buffer[..length]),
            }
        }
    }

    pub async fn message(&mut self) -> Message {
        match self.next().await {
            Came::Message(message) => message,
            other => panic!("{other:?}"),
        }
    }

    /// The lines that every request has. Branches are this connection's own.
    pub fn lines(&mut self, method: &str, to: &str) -> String {
        self.cseq += 1;
        let (user, cseq) = (&self.user, self.cseq);
        let port = self.stream.get_ref().0.local_addr().unwrap().port();
        format!(
            "Via: SIP/2.0/TLS client.invalid;rport;branch=z9hG4bK{port}x{cseq}\r\nMax-Forwards: 70\r\n\
             From: \"{user}\" <sip:{user}@{DOMAIN}>;tag=f{user}\r\nTo: <{to}>\r\nCall-ID: {}\r\nCSeq: {cseq} {method}\r\n",
            self.call_id
        )
    }

    /// The line with credentials for the challenge that was taken up; empty without one.
    pub fn authorization(&mut self, method: &str, uri: &str, body: &str) -> String {
        let Some((header, challenge)) = &self.challenge else { return String::new() };
        self.count += 1;
        let login = Login { username: &self.user, password: &Secret::new(self.password.clone()) };
        let target = Target { method, uri, body: body.as_bytes() };
        let answer = Answer::new(challenge, login, target, "cnonce", NonceCount::new(self.count)).unwrap();
        let name = if *header == Header::WwwAuthenticate { "Authorization" } else { "Proxy-Authorization" };
        format!("{name}: {answer}\r\n")
    }

    /// Sends a request and returns its first answer.
    pub async fn once(&mut self, method: &str, uri: &str, to: &str, extra: &str, body: &str) -> Message {
        let lines = self.lines(method, to);
        let authorization = self.authorization(method, uri, body);
        let length = body.len();
        self.send(format!(
            "{method} {uri} SIP/2.0\r\n{lines}{authorization}{extra}Content-Length: {length}\r\n\r\n{body}"
        ))
        .await;
        self.message().await
    }

    /// Takes up the topmost challenge of an answer, if there is one.
    pub fn take_challenge(&mut self, answer: &Message) -> bool {
        for header in [Header::WwwAuthenticate, Header::ProxyAuthenticate] {
            if let Some(value) = answer.value(header)
                && let Challenge::Digest(digest) = Challenge::parse_all(value).unwrap().remove(0)
            {
                self.challenge = Some((header, digest));
                self.count = 0;
                return true;
            }
        }
        false
    }

    /// Sends a request, again with credentials if it is challenged, and returns the last answer.
    pub async fn ask(&mut self, method: &str, uri: &str, to: &str, extra: &str, body: &str) -> Message {
        let first = self.once(method, uri, to, extra, body).await;
        if !matches!(first.status().unwrap().code(), 401 | 407) || !self.take_challenge(&first) {
            return first;
        }
        self.once(method, uri, to, extra, body).await
    }

    /// Registers one contact; `extra` are further lines.
    pub async fn register(&mut self, extra: &str) -> Message {
        let user = self.user.clone();
        let contact =
            format!("Contact: <sip:{user}@client.invalid;transport=tls>{}\r\n{extra}", self.contact);
        self.register_with(&contact).await
    }

    /// Sends a REGISTER with these lines.
    pub async fn register_with(&mut self, lines: &str) -> Message {
        let (uri, to) = (format!("sip:{DOMAIN}"), format!("sip:{}@{DOMAIN}", self.user));
        self.ask("REGISTER", &uri, &to, lines, "").await
    }

    pub async fn text(&mut self, to: &str, body: &str) -> Message {
        let uri = format!("sip:{to}@{DOMAIN}");
        self.ask("MESSAGE", &uri, &uri, "Content-Type: text/plain\r\n", body).await
    }

    /// Sends a MESSAGE that is expected to be forwarded, without waiting for its answer.
    pub async fn text_unanswered(&mut self, to: &str, body: &str) {
        let uri = format!("sip:{to}@{DOMAIN}");
        let lines = self.lines("MESSAGE", &uri);
        let authorization = self.authorization("MESSAGE", &uri, body);
        let length = body.len();
        self.send(format!(
            "MESSAGE {uri} SIP/2.0\r\n{lines}{authorization}Content-Length: {length}\r\n\r\n{body}"
        ))
        .await;
    }

    /// Answers a request.
    pub async fn answer(&mut self, request: &Message, status: &str) {
        let mut out = format!("SIP/2.0 {status}\r\n");
        for field in request.fields() {
            let kept = [Header::Via, Header::From, Header::To, Header::CallId, Header::CSeq];
            if kept.contains(&field.header) {
                let value = String::from_utf8_lossy(field.value);
                let tag = if field.header == Header::To { ";tag=t" } else { "" };
                out += &format!("{}: {value}{tag}\r\n", field.name);
            }
        }
        self.send(out + "Content-Length: 0\r\n\r\n").await;
    }
}

pub fn code(message: &Message) -> u16 {
    message.status().unwrap().code()
}

pub fn values(message: &Message, header: Header) -> Vec<String> {
    let fields = message.fields().filter(|field| field.header == header);
    fields.map(|field| String::from_utf8_lossy(field.value).into_owned()).collect()
}
