//! One HTTP/1.1 response (RFC 9112), read with limits. Nothing else of HTTP is needed: one GET, one answer, no redirects.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Longest head of a response, and of what follows the last chunk, in bytes.
const MAX_HEAD: usize = 16 * 1024;
/// Most header fields of a response.
const MAX_FIELDS: usize = 64;
/// Longest line that begins a chunk, in bytes.
const MAX_CHUNK_LINE: usize = 256;
/// Interim responses (1xx) that are passed over.
const MAX_INTERIM: usize = 4;
/// How much is read at once, in bytes.
const READ: usize = 16 * 1024;

/// Why a response is of no use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum HttpError {
    /// It is not HTTP/1.x, or contradicts itself.
    Malformed,
    /// 3xx, which is not followed.
    Redirect(u16),
    /// Another status than 200.
    Status(u16),
    /// Compressed or otherwise encoded, though we asked for neither.
    Encoded,
    /// Longer than the limit, in bytes.
    TooLarge(usize),
    /// It ended before its end.
    Truncated,
    Io(io::ErrorKind),
}

/// How a body ends (RFC 9112 §6.3).
#[derive(Debug, PartialEq, Eq)]
enum End {
    Length(usize),
    Chunked,
    Close,
}

/// Reads the body of a 200 response of at most `max` bytes.
pub(super) async fn read_body(stream: impl AsyncRead + Unpin, max: usize) -> Result<Bytes, HttpError> {
    let mut reader = Reader { stream, buffer: BytesMut::new(), max };
    for _ in 0..=MAX_INTERIM {
        let Some(end) = reader.head().await? else { continue };
        return match end {
            End::Length(length) if length > max => Err(HttpError::TooLarge(max)),
            End::Length(length) => {
                reader.fill(length).await?;
                Ok(reader.buffer.split_to(length).freeze())
            }
            End::Chunked => reader.chunks().await,
            End::Close => reader.rest().await,
        };
    }
    Err(HttpError::Malformed)
}

struct Reader<S> {
    stream: S,
    buffer: BytesMut,
    max: usize,
}

impl<S: AsyncRead + Unpin> Reader<S> {
    /// Reads more; whether anything came.
    async fn more(&mut self) -> Result<bool, HttpError> {
        self.buffer.reserve(READ);
        let read = self.stream.read_buf(&mut self.buffer).await;
        read.map(|count| count > 0).map_err(|error| HttpError::Io(error.kind()))
    }

    async fn fill(&mut self, length: usize) -> Result<(), HttpError> {
        while self.buffer.len() < length {
            if !self.more().await? {
                return Err(HttpError::Truncated);
            }
        }
        Ok(())
    }

    /// Takes a head; `None` for an interim response.
    async fn head(&mut self) -> Result<Option<End>, HttpError> {
        loop {
            let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
            let mut response = httparse::Response::new(&mut fields);
            let parsed = response.parse(&self.buffer).map_err(|_| HttpError::Malformed)?;
            if let httparse::Status::Complete(length) = parsed {
                let end = judge(&response);
                self.buffer.advance(length);
                return end;
            }
            if self.buffer.len() > MAX_HEAD {
                return Err(HttpError::Malformed);
            }
            if !self.more().await? {
                return Err(if self.buffer.is_empty() { HttpError::Truncated } else { HttpError::Malformed });
            }
        }
    }

    async fn chunks(&mut self) -> Result<Bytes, HttpError> {
        let mut body = BytesMut::new();
        loop {
            let size = self.chunk_size().await?;
            if size == 0 {
                // What may follow are trailers, which say nothing that we need; the connection ends here.
                return Ok(body.freeze());
            }
            if size > self.max.saturating_sub(body.len()) {
                return Err(HttpError::TooLarge(self.max));
            }
            self.fill(size + 2).await?;
            body.extend_from_slice(&self.buffer.split_to(size));
            if !self.buffer.starts_with(b"\r\n") {
                return Err(HttpError::Malformed);
            }
            self.buffer.advance(2);
        }
    }

    async fn chunk_size(&mut self) -> Result<usize, HttpError> {
        loop {
            match httparse::parse_chunk_size(&self.buffer) {
                Ok(httparse::Status::Complete((line, size))) => {
                    self.buffer.advance(line);
                    return usize::try_from(size).map_err(|_| HttpError::TooLarge(self.max));
                }
                Ok(httparse::Status::Partial) if self.buffer.len() <= MAX_CHUNK_LINE => {}
                Ok(httparse::Status::Partial) | Err(_) => return Err(HttpError::Malformed),
            }
            if !self.more().await? {
                return Err(HttpError::Truncated);
            }
        }
    }

    async fn rest(&mut self) -> Result<Bytes, HttpError> {
        loop {
            if self.buffer.len() > self.max {
                return Err(HttpError::TooLarge(self.max));
            }
            if !self.more().await? {
                return Ok(self.buffer.split().freeze());
            }
        }
    }
}

fn judge(response: &httparse::Response<'_, '_>) -> Result<Option<End>, HttpError> {
    match response.code {
        Some(100..=199) => return Ok(None),
        Some(200) => {}
        Some(code @ 300..=399) => return Err(HttpError::Redirect(code)),
        Some(code) => return Err(HttpError::Status(code)),
        None => return Err(HttpError::Malformed),
    }
    let values = |name: &str| {
        let mut all = Vec::new();
        for field in response.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(name)) {
            let value = std::str::from_utf8(field.value).map_err(|_| HttpError::Malformed)?;
            all.extend(value.split(',').map(str::trim));
        }
        Ok(all)
    };
    if values("content-encoding")?.iter().any(|coding| !coding.eq_ignore_ascii_case("identity")) {
        return Err(HttpError::Encoded);
    }
    let lengths = values("content-length")?;
    match (values("transfer-encoding")?.as_slice(), lengths.as_slice()) {
        ([], []) => Ok(Some(End::Close)),
        ([], [first, others @ ..]) => {
            let is_number = !first.is_empty() && first.bytes().all(|byte| byte.is_ascii_digit());
            if !is_number || others.iter().any(|other| other != first) {
                return Err(HttpError::Malformed);
            }
            // A number that no computer holds is larger than every limit.
            Ok(Some(End::Length(first.parse().unwrap_or(usize::MAX))))
        }
        ([coding], []) if coding.eq_ignore_ascii_case("chunked") => Ok(Some(End::Chunked)),
        (_, []) => Err(HttpError::Encoded),
        // RFC 9112 §6.3: both lengths at once may be an attempt at smuggling.
        (_, [_, ..]) => Err(HttpError::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    const MAX: usize = 1_000;

    /// Reads `response` as it comes in one piece, and again byte by byte.
    async fn read(response: &[u8]) -> Result<Vec<u8>, HttpError> {
        let whole = read_body(response, MAX).await.map(Vec::from);
        let (mut write, read) = tokio::io::duplex(1);
        let bytes = response.to_vec();
        let writer = tokio::spawn(async move { write.write_all(&bytes).await });
        let pieces = read_body(read, MAX).await.map(Vec::from);
        // The reader may leave early.
        let _ = writer.await.unwrap();
        assert_eq!(whole, pieces);
        whole
    }

    #[tokio::test]
    async fn the_three_ends_of_a_body_are_known() {
        for response in [
            &b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlistmore"[..],
            b"HTTP/1.1 200 OK\r\ncontent-length: 4, 4\r\n\r\nlist",
            b"HTTP/1.0 200 OK\r\nServer: x\r\n\r\nlist",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nlis\r\n1;x=y\r\nt\r\n0\r\nTrailer: x\r\n\r\n",
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Encoding: identity\r\n\r\nlist",
        ] {
            assert_eq!(read(response).await.as_deref(), Ok(&b"list"[..]), "{}", String::from_utf8_lossy(response));
        }
    }

    #[tokio::test]
    async fn redirects_and_other_statuses_are_told() {
        assert_eq!(
            read(b"HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1/\r\n\r\n").await,
            Err(HttpError::Redirect(301))
        );
        assert_eq!(read(b"HTTP/1.1 404 Not Found\r\n\r\n").await, Err(HttpError::Status(404)));
        assert_eq!(read(b"HTTP/1.1 204 No Content\r\n\r\n").await, Err(HttpError::Status(204)));
    }

    #[tokio::test]
    async fn nothing_longer_than_the_limit_is_kept() {
        let long = "x".repeat(MAX + 1);
        for response in [
            "HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n".to_owned(),
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999999\r\n\r\n".to_owned(),
            format!("HTTP/1.1 200 OK\r\n\r\n{long}"),
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n".to_owned(),
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n".to_owned(),
            format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1f4\r\n{0}\r\n1f5\r\n{0}",
                "x".repeat(500)
            ),
        ] {
            assert_eq!(read(response.as_bytes()).await, Err(HttpError::TooLarge(MAX)), "{response}");
        }
    }

    #[tokio::test]
    async fn an_early_end_is_no_body() {
        for response in [
            &b""[..],
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nlist",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nlist\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nli",
        ] {
            assert_eq!(
                read(response).await,
                Err(HttpError::Truncated),
                "{}",
                String::from_utf8_lossy(response)
            );
        }
    }

    #[tokio::test]
    async fn what_is_not_http_or_contradicts_itself_is_refused() {
        let endless = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(MAX_HEAD + READ));
        let fields = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(MAX_FIELDS + 1));
        let interim = "HTTP/1.1 102 Processing\r\n\r\n".repeat(MAX_INTERIM + 2);
        let line =
            format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;{}", "x".repeat(MAX_CHUNK_LINE));
        for response in [
            &b"SIP/2.0 200 OK\r\n\r\n"[..],
            b"\x30\x82\x01\x00garbage\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Le",
            b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nlist",
            b"HTTP/1.1 200 OK\r\nContent-Length: -4\r\n\r\nlist",
            b"HTTP/1.1 200 OK\r\nContent-Length: +4\r\n\r\nlist",
            b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nlistX\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
            endless.as_bytes(),
            fields.as_bytes(),
            interim.as_bytes(),
            line.as_bytes(),
        ] {
            assert_eq!(
                read(response).await,
                Err(HttpError::Malformed),
                "{}",
                String::from_utf8_lossy(response)
            );
        }
    }

    #[tokio::test]
    async fn what_we_did_not_ask_for_is_not_decoded() {
        for field in ["Content-Encoding: gzip", "Transfer-Encoding: gzip, chunked", "Transfer-Encoding: gzip"]
        {
            let response = format!("HTTP/1.1 200 OK\r\n{field}\r\n\r\nlist");
            assert_eq!(read(response.as_bytes()).await, Err(HttpError::Encoded), "{field}");
        }
    }
}
