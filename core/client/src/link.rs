//! One connection as the driver uses it: bytes in, ordered bytes out, an orderly end.

use crate::net::{ClientCertificateUse, Stream, TlsCause};
use aldis_agent::LostReason;
use bytes::{Buf, Bytes, BytesMut};
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf, ReadHalf, WriteHalf};

/// How much is read at once, in bytes: a TLS record.
const READ: usize = 16 * 1024;
/// How much is gathered for one write, in bytes.
const WRITE: usize = 64 * 1024;
/// While so much waits to be written, in bytes, nothing is read: a peer that does not read its answers asks no more.
const MAX_UNSENT: usize = 1 << 20;
/// How long closing may take.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// Said where a server closes before its first byte. Its alert would say it better, and gets lost when it closes while we
/// write.
const WANTS_CERTIFICATE: &str =
    "the server asked for a client certificate, got none, and closed the connection";
const DISLIKES_CERTIFICATE: &str =
    "the server was shown the client certificate and closed the connection: it may not accept this one";

/// A connection that is up.
pub(crate) struct Link {
    /// What the server said about a client certificate, until it has said anything else.
    certificate: Option<ClientCertificateUse>,
    reader: ReadHalf<Stream>,
    writer: WriteHalf<Stream>,
    unsent: BytesMut,
    /// What was written may wait in TLS's own buffer.
    unflushed: bool,
}

/// What a connection brought.
pub(crate) enum Arrival {
    Bytes(Bytes),
    Lost(LostReason),
}

impl Link {
    pub fn new(stream: Stream, certificate: ClientCertificateUse) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        Link { certificate: Some(certificate), reader, writer, unsent: BytesMut::new(), unflushed: false }
    }

    /// Adds bytes to what is written, in order.
    pub fn transmit(&mut self, bytes: &[u8]) {
        self.unsent.extend_from_slice(bytes);
    }

    /// Reads and writes until bytes came or the connection is lost. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Arrival {
        match (self.io().await, self.certificate) {
            (Arrival::Lost(LostReason::ClosedByServer), Some(ClientCertificateUse::NotGiven)) => {
                Arrival::Lost(LostReason::ClientCertificate(WANTS_CERTIFICATE.into()))
            }
            (Arrival::Lost(LostReason::ClosedByServer), Some(ClientCertificateUse::Shown)) => {
                Arrival::Lost(LostReason::ClientCertificate(DISLIKES_CERTIFICATE.into()))
            }
            (Arrival::Bytes(bytes), _) => {
                self.certificate = None;
                Arrival::Bytes(bytes)
            }
            (lost, _) => lost,
        }
    }

    async fn io(&mut self) -> Arrival {
        loop {
            let (may_read, must_write) = (self.unsent.len() < MAX_UNSENT, !self.unsent.is_empty());
            let chunk = self.unsent.get(..self.unsent.len().min(WRITE)).unwrap_or_default();
            let writer = &mut self.writer;
            // How many bytes were written; 0 for a flush.
            let output = async {
                if !must_write {
                    return writer.flush().await.map(|()| 0);
                }
                match writer.write(chunk).await? {
                    0 => Err(io::ErrorKind::BrokenPipe.into()),
                    count => Ok(count),
                }
            };
            tokio::select! {
                read = read(&mut self.reader), if may_read => {
                    return match read {
                        Ok(bytes) if bytes.is_empty() => Arrival::Lost(LostReason::ClosedByServer),
                        Ok(bytes) => Arrival::Bytes(bytes),
                        Err(error) => Arrival::Lost(why(&error)),
                    };
                }
                written = output, if must_write || self.unflushed => match written {
                    Ok(count) => {
                        self.unsent.advance(count);
                        self.unflushed = must_write;
                        if self.unsent.is_empty() {
                            // Nor is the place for what is sent kept.
                            self.unsent = BytesMut::new();
                        }
                    }
                    Err(error) => return Arrival::Lost(why(&error)),
                },
            }
        }
    }

    /// Writes what waits, says goodbye (close_notify) and closes, within a limit.
    pub async fn close(mut self) {
        let farewell = async {
            self.writer.write_all(&self.unsent).await?;
            self.writer.flush().await?;
            self.writer.shutdown().await
        };
        // A peer that is gone cannot be told.
        let _ = tokio::time::timeout(CLOSE_WITHIN, farewell).await;
    }
}

/// What has come; nothing at the end. The place for it is on the stack and only while it is read: most connections of most
/// clients are quiet for hours, and whoever has thousands would pay a buffer for each.
async fn read(reader: &mut ReadHalf<Stream>) -> io::Result<Bytes> {
    let mut reader = Pin::new(reader);
    poll_fn(move |context| {
        let mut space = [MaybeUninit::uninit(); READ];
        let mut buffer = ReadBuf::uninit(&mut space);
        let read = ready!(reader.as_mut().poll_read(context, &mut buffer));
        Poll::Ready(read.map(|()| Bytes::copy_from_slice(buffer.filled())))
    })
    .await
}

fn why(error: &io::Error) -> LostReason {
    match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            LostReason::ClosedByServer
        }
        io::ErrorKind::InvalidData => match TlsCause::of(error) {
            // In TLS 1.3 a server that misses a client certificate says so only now.
            cause @ TlsCause::ClientCertificate { .. } => LostReason::ClientCertificate(cause.to_string()),
            other => LostReason::Failed(other.to_string()),
        },
        _ => LostReason::Failed(error.to_string()),
    }
}
