//! A body that is decompressed while it is sent.

use std::{
    io::{self, Cursor, Read},
    pin::Pin,
    task::{Context, Poll},
};

use axum::body::{Bytes, HttpBody};
use http_body::{Frame, SizeHint};

/// The body is sent in parts of this size.
const PART_BYTES: usize = 32 * 1024;

pub struct Decompressed {
    decoder: zstd::Decoder<'static, Cursor<Bytes>>,
    /// Bytes that are not sent yet.
    rest: u64,
}

impl Decompressed {
    /// The memory of a body beside the compressed bytes, which are shared: the decoder, its window and buffers, and as
    /// much again for a compression that the client accepts instead.
    pub const MEMORY_BYTES: usize = 768 * 1024;

    /// `decompressed_bytes` is the size after decompression.
    pub fn new(zstd: Bytes, decompressed_bytes: u64) -> io::Result<Decompressed> {
        let decoder = zstd::Decoder::with_buffer(Cursor::new(zstd))?;
        Ok(Decompressed { decoder, rest: decompressed_bytes })
    }
}

impl HttpBody for Decompressed {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.rest == 0 {
            return Poll::Ready(None);
        }
        let mut part = vec![0; usize::try_from(self.rest).unwrap_or(PART_BYTES).min(PART_BYTES)];
        let read = self.decoder.read_exact(&mut part);
        self.rest -= part.len() as u64;
        Poll::Ready(Some(read.map(|()| Frame::data(part.into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest)
    }
}
