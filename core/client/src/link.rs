//! One connection as the driver uses it: bytes in, ordered bytes out, an orderly end.

use crate::net::{ClientCertificateUse, Stream, TlsCause};
use aldis_agent::{FlowId, LostReason};
use bytes::{Buf, Bytes, BytesMut};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};

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
    pub id: FlowId,
    /// What the server said about a client certificate, until it has said anything else.
    certificate: Option<ClientCertificateUse>,
    reader: ReadHalf<Stream>,
    writer: WriteHalf<Stream>,
    unsent: BytesMut,
    input: BytesMut,
}

/// What a connection brought.
pub(crate) enum Arrival {
    Bytes(Bytes),
    Lost(LostReason),
}

impl Link {
    pub fn new(id: FlowId, stream: Stream, certificate: ClientCertificateUse) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        let (unsent, input) = (BytesMut::new(), BytesMut::with_capacity(READ));
        Link { id, certificate: Some(certificate), reader, writer, unsent, input }
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
            self.input.reserve(READ);
            let chunk = self.unsent.get(..self.unsent.len().min(WRITE)).unwrap_or_default();
            tokio::select! {
                read = self.reader.read_buf(&mut self.input), if may_read => {
                    return match read {
                        Ok(0) => Arrival::Lost(LostReason::ClosedByServer),
                        Ok(_) => Arrival::Bytes(self.input.split().freeze()),
                        Err(error) => Arrival::Lost(why(&error)),
                    };
                }
                written = self.writer.write(chunk), if must_write => match written {
                    Ok(0) => return Arrival::Lost(LostReason::ClosedByServer),
                    Ok(count) => {
                        self.unsent.advance(count);
                        if self.unsent.is_empty() && let Err(error) = self.writer.flush().await {
                            return Arrival::Lost(why(&error));
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
