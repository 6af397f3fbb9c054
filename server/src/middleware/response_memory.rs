//! The memory of large responses. A client that reads slowly keeps its response in memory, so all of them together are
//! limited.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes, HttpBody},
    response::Response,
};
use http_body::{Frame, SizeHint};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use crate::error::ApiError;

/// Smaller responses are not limited: the connection's buffers hold most of them anyway.
const SMALL_RESPONSE_BYTES: usize = 256 * 1024;
/// Large responses are sent in parts of this size, so that the connection copies only a part at a time.
const PART_BYTES: usize = 32 * 1024;
/// A client that reads a large response more slowly than this is disconnected.
const MIN_BYTES_PER_SECOND: u64 = 16 * 1024;

/// An extension of a response whose body is made while it is sent.
#[derive(Debug, Clone, Copy)]
pub struct StreamedBody {
    /// The memory that the body needs until it is sent.
    pub memory_bytes: usize,
}

/// The memory that large responses may use together.
pub struct ResponseMemory {
    /// One permit for each KiB.
    free: Arc<Semaphore>,
    total_kib: u32,
    write_timeout: Duration,
}

impl ResponseMemory {
    /// `total_mib` MiB for all large responses. `write_timeout` is what a client has in addition to the time that the
    /// slowest allowed reading takes.
    pub fn new(total_mib: u16, write_timeout: Duration) -> ResponseMemory {
        let total_kib = u32::from(total_mib) * 1024;
        ResponseMemory { free: Arc::new(Semaphore::new(total_kib as usize)), total_kib, write_timeout }
    }

    /// Counts a large response until it is sent. A response that is larger than all of the memory is sent if it is the
    /// only one.
    ///
    /// # Errors
    /// [`ApiError::Busy`] if the memory is used by responses that clients have not read.
    pub async fn limit(&self, response: Response) -> Result<Response, ApiError> {
        let Some(size) = response.body().size_hint().exact() else { return Ok(response) };
        let streamed = response.extensions().get::<StreamedBody>().copied();
        let needed = match streamed {
            Some(StreamedBody { memory_bytes }) => memory_bytes,
            None => usize::try_from(size).unwrap_or(usize::MAX),
        };
        if needed <= SMALL_RESPONSE_BYTES {
            return Ok(response);
        }
        let kib = u32::try_from(needed.div_ceil(1024)).unwrap_or(u32::MAX).min(self.total_kib);
        let permit = self.free.clone().try_acquire_many_owned(kib).map_err(|_| ApiError::Busy)?;
        let (head, body) = response.into_parts();
        let rest = match streamed {
            Some(_) => Rest::Streamed(body),
            // It is in memory already.
            None => Rest::Buffered(axum::body::to_bytes(body, needed).await.map_err(|_| ApiError::Internal)?),
        };
        let time = self.write_timeout + Duration::from_secs(size / MIN_BYTES_PER_SECOND);
        let body = LargeBody { rest, deadline: Instant::now() + time, _permit: permit };
        Ok(Response::from_parts(head, Body::new(body)))
    }
}

/// A response that is sent in parts and returns its memory when it is sent or its connection is closed.
struct LargeBody {
    rest: Rest,
    deadline: Instant,
    _permit: OwnedSemaphorePermit,
}

/// What is not sent yet.
enum Rest {
    Buffered(Bytes),
    Streamed(Body),
}

impl HttpBody for LargeBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if !self.is_end_stream() && Instant::now() > self.deadline {
            let error = io::Error::from(io::ErrorKind::TimedOut);
            return Poll::Ready(Some(Err(axum::Error::new(error))));
        }
        match &mut self.rest {
            Rest::Buffered(rest) if rest.is_empty() => Poll::Ready(None),
            Rest::Buffered(rest) => {
                let length = rest.len().min(PART_BYTES);
                Poll::Ready(Some(Ok(Frame::data(rest.split_to(length)))))
            }
            Rest::Streamed(body) => Pin::new(body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.rest {
            Rest::Buffered(rest) => rest.is_empty(),
            Rest::Streamed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.rest {
            Rest::Buffered(rest) => SizeHint::with_exact(rest.len() as u64),
            Rest::Streamed(body) => body.size_hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory() -> ResponseMemory {
        ResponseMemory::new(1, Duration::from_secs(30))
    }

    async fn limited(memory: &ResponseMemory, size: usize) -> Result<Response, ApiError> {
        memory.limit(Response::new(vec![7_u8; size].into())).await
    }

    #[tokio::test]
    async fn unread_large_responses_share_a_limit_and_small_ones_have_none() {
        let memory = memory();
        let unread = limited(&memory, 600 * 1024).await.expect("a response");
        assert_eq!(unread.body().size_hint().exact(), Some(600 * 1024));
        assert!(matches!(limited(&memory, 600 * 1024).await, Err(ApiError::Busy)));
        limited(&memory, SMALL_RESPONSE_BYTES).await.expect("a response");
        let read = axum::body::to_bytes(unread.into_body(), usize::MAX).await.expect("a body");
        assert_eq!(read, vec![7_u8; 600 * 1024]);
        // Larger than all of the memory: only alone.
        let large = limited(&memory, 3 * 1024 * 1024).await.expect("a response");
        assert!(matches!(limited(&memory, 300 * 1024).await, Err(ApiError::Busy)));
        drop(large);
        limited(&memory, 300 * 1024).await.expect("a response");
    }

    #[tokio::test]
    async fn a_streamed_response_counts_as_the_memory_that_it_needs() {
        let memory = memory();
        let streamed = async || {
            let mut response = Response::new(vec![7_u8; 3 * 1024 * 1024].into());
            response.extensions_mut().insert(StreamedBody { memory_bytes: 512 * 1024 });
            memory.limit(response).await
        };
        let (one, two) = (streamed().await.expect("a response"), streamed().await.expect("a response"));
        assert!(matches!(streamed().await, Err(ApiError::Busy)));
        let read = axum::body::to_bytes(one.into_body(), usize::MAX).await.expect("a body");
        assert_eq!(read.len(), 3 * 1024 * 1024);
        drop(two);
        streamed().await.expect("a response");
    }

    #[tokio::test(start_paused = true)]
    async fn a_response_that_is_read_too_slowly_is_broken_off() {
        let memory = memory();
        let seconds = 1024 * 1024 / MIN_BYTES_PER_SECOND;
        for (waited, is_whole) in [(seconds + 29, true), (seconds + 31, false)] {
            let slow = limited(&memory, 1024 * 1024).await.expect("a response");
            tokio::time::advance(Duration::from_secs(waited)).await;
            assert_eq!(axum::body::to_bytes(slow.into_body(), usize::MAX).await.is_ok(), is_whole, "{waited} s");
        }
    }
}
