//! One list from one place, within limits: size, time, addresses, no redirects.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};

use aldis_trust::{Crl, CrlError};
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, timeout_at};

use super::http::{HttpError, read_body};
use super::reach::Reach;
use super::url::HttpUrl;
use crate::net::race::{Candidates, ConnectError, Pace, connect_tcp};
use crate::net::{ResolveError, Resolver};

/// Longest list that is fetched, in bytes. A list of 100,000 entries has four megabytes.
pub(super) const MAX_LIST: usize = 10 << 20;
/// Addresses of one host that are tried.
const MAX_ADDRESSES: usize = 4;

/// Why there is no list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FetchError {
    /// The host has only addresses where this issuer may not send us; one of them.
    OutOfReach(IpAddr),
    Dns(ResolveError),
    Connect(ConnectError),
    Http(HttpError),
    NotAList(CrlError),
    TimedOut,
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfReach(address) => {
                write!(f, "not asked, because an authority of others may not send this device to {address}")
            }
            Self::Dns(error) => error.fmt(f),
            Self::Connect(error) => write!(f, "no connection: {error}"),
            Self::Http(error) => match error {
                HttpError::Malformed => f.write_str("what answered does not speak HTTP"),
                HttpError::Redirect(code) => write!(f, "it points elsewhere ({code}), which is not followed"),
                HttpError::Status(code) => write!(f, "the answer was {code}"),
                HttpError::Encoded => f.write_str("the answer is compressed, which was not asked for"),
                HttpError::TooLarge(max) => write!(f, "the answer is longer than {} megabytes", max >> 20),
                HttpError::Truncated => f.write_str("the answer broke off"),
                HttpError::Io(kind) => write!(f, "the connection broke: {kind}"),
            },
            Self::NotAList(error) => error.fmt(f),
            Self::TimedOut => f.write_str("no answer in time"),
        }
    }
}

/// Fetches the list at `url`, from an address that `reach` covers: the one that is checked is the one connected to,
/// whatever DNS answers a moment later.
pub(super) async fn fetch(
    url: &HttpUrl,
    reach: Reach,
    resolver: &Resolver,
    until: Instant,
) -> Result<Crl, FetchError> {
    let bytes = timeout_at(until, get(url, reach, resolver, until));
    let bytes = bytes.await.unwrap_or(Err(FetchError::TimedOut))?;
    // A long list takes a tenth of a second, which is too much for a thread that serves connections.
    let parsed = tokio::task::spawn_blocking(move || parse(&bytes)).await;
    parsed.unwrap_or(Err(CrlError::Malformed("tbsCertList"))).map_err(FetchError::NotAList)
}

async fn get(
    url: &HttpUrl,
    reach: Reach,
    resolver: &Resolver,
    until: Instant,
) -> Result<bytes::Bytes, FetchError> {
    let addresses = resolver.addresses(&url.host).await.map_err(FetchError::Dns)?;
    let (open, closed): (Vec<IpAddr>, Vec<IpAddr>) =
        addresses.into_iter().partition(|address| reach.covers(*address));
    if let ([], [first, ..]) = (open.as_slice(), closed.as_slice()) {
        return Err(FetchError::OutOfReach(*first));
    }
    let places = open.into_iter().take(MAX_ADDRESSES).map(|address| SocketAddr::new(address, url.port));
    let connected = connect_tcp(&mut Candidates::known(places), &Pace::default(), until).await;
    let (mut stream, _) = connected.map_err(FetchError::Connect)?;
    let broken = |error: io::Error| FetchError::Http(HttpError::Io(error.kind()));
    stream.write_all(url.request().as_bytes()).await.map_err(broken)?;
    read_body(stream, MAX_LIST).await.map_err(FetchError::Http)
}

/// RFC 5280 §4.2.1.13 says DER; some authorities of organisations publish PEM.
pub(super) fn parse(bytes: &[u8]) -> Result<Crl, CrlError> {
    if !bytes.starts_with(b"-----BEGIN") {
        return Crl::from_der(bytes);
    }
    let first = Crl::all_from_pem(bytes)?.into_iter().next();
    first.ok_or(CrlError::Malformed("certificateList"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::testing::dns_server::{DnsServer, Zone};
    use tokio::net::TcpListener;

    fn soon() -> Instant {
        Instant::now() + std::time::Duration::from_secs(5)
    }

    /// Nothing may even connect: the SYN itself is a request.
    async fn is_left_alone(listener: &TcpListener) -> bool {
        let accepted = std::future::poll_fn(|context| std::task::Poll::Ready(listener.poll_accept(context)));
        accepted.await.is_pending()
    }

    #[tokio::test]
    async fn a_public_authority_cannot_send_us_to_this_device() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let dns = DnsServer::start(Zone::default().address("crl.example.test", "127.0.0.1")).await;
        for url in [
            format!("http://127.0.0.1:{port}/ca.crl"),
            format!("http://[::ffff:127.0.0.1]:{port}/ca.crl"),
            // The name is as good as any; what DNS makes of it is not.
            format!("http://crl.example.test:{port}/ca.crl"),
        ] {
            let url = HttpUrl::parse(&url).unwrap();
            for reach in [Reach::Public, Reach::Partner] {
                let error = fetch(&url, reach, &dns.resolver(), soon()).await.unwrap_err();
                assert!(matches!(error, FetchError::OutOfReach(_)), "{url}: {error:?}");
            }
            assert!(is_left_alone(&listener).await, "{url}");
        }
    }

    #[tokio::test]
    async fn only_the_addresses_within_reach_are_tried() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let zone =
            Zone::default().address("crl.example.test", "127.0.0.1").address("crl.example.test", "224.0.0.1");
        let dns = DnsServer::start(zone).await;
        let url = HttpUrl::parse(&format!("http://crl.example.test:{port}/ca.crl")).unwrap();
        let answer = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"HTTP/1.1 404 Not Found\r\n\r\n").await.unwrap();
        };
        let resolver = dns.resolver();
        let (error, ()) = tokio::join!(fetch(&url, Reach::Organisation, &resolver, soon()), answer);
        assert_eq!(error.unwrap_err(), FetchError::Http(HttpError::Status(404)));
    }

    #[tokio::test]
    async fn a_name_that_does_not_exist_is_told() {
        let dns = DnsServer::start(Zone::default()).await;
        let url = HttpUrl::parse("http://crl.example.test/").unwrap();
        let error = fetch(&url, Reach::Organisation, &dns.resolver(), soon()).await.unwrap_err();
        assert!(matches!(error, FetchError::Dns(_)), "{error:?}");
    }
}
