//! The bytes behind the frames: what a message looked like on the wire.

use aldis_sip::{Defect, Judgement, Place, Problem};
use bytes::{Bytes, BytesMut};

/// What was read from one connection.
#[derive(Debug, Default)]
pub(crate) struct Tape {
    bytes: BytesMut,
    /// Bytes of a refused body that the framer passes over.
    passed_over: usize,
}

impl Tape {
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.skip();
    }

    fn skip(&mut self) {
        let skipped = self.passed_over.min(self.bytes.len());
        let _ = self.bytes.split_to(skipped);
        self.passed_over -= skipped;
    }

    /// What has been taken from the stream since the last frame, given how much still waits in the framer.
    pub fn cut(&mut self, waiting: usize) -> Bytes {
        let length = self.bytes.len().saturating_sub(waiting);
        self.bytes.split_to(length).freeze()
    }

    /// A body over the limit is not kept here either.
    pub fn judged(&mut self, judgement: &Judgement) {
        if let Judgement::Reject(rejection) = judgement
            && matches!(rejection.defect, Defect { place: Place::Body, problem: Problem::Limit, .. })
            && let Ok(Some(length)) = rejection.request.content_length()
        {
            self.passed_over = usize::try_from(length).unwrap_or(usize::MAX);
            self.skip();
        }
    }
}
