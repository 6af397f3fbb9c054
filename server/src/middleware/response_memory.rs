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
    extract::{Request, State},
    middleware::Next,
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

/// The memory that large responses may use together.
#[derive(Clone)]
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
}

/// Answers 503 instead of a large response if clients have not yet read so many others that the memory is used up. A
/// response that is larger than all of the memory is sent if it is the only one.
pub async fn limit_response_memory(
    State(memory): State<ResponseMemory>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let response = next.run(request).await;
    let size = response.body().size_hint().exact().and_then(|size| usize::try_from(size).ok());
    let Some(size) = size.filter(|size| *size > SMALL_RESPONSE_BYTES) else { return Ok(response) };
    let kib = u32::try_from(size.div_ceil(1024)).unwrap_or(u32::MAX).min(memory.total_kib);
    let permit = memory.free.try_acquire_many_owned(kib).map_err(|_| ApiError::Busy)?;
    let (head, body) = response.into_parts();
    // A body of a known size is in memory already.
    let rest = axum::body::to_bytes(body, size).await.map_err(|_| ApiError::Internal)?;
    let time = memory.write_timeout + Duration::from_secs(size as u64 / MIN_BYTES_PER_SECOND);
    let body = LargeBody { rest, deadline: Instant::now() + time, _permit: permit };
    Ok(Response::from_parts(head, Body::new(body)))
}

/// A response that is sent in parts and returns its memory when it is sent or its connection is closed.
struct LargeBody {
    rest: Bytes,
    deadline: Instant,
    _permit: OwnedSemaphorePermit,
}

impl HttpBody for LargeBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        if Instant::now() > self.deadline {
            return Poll::Ready(Some(Err(io::ErrorKind::TimedOut.into())));
        }
        let length = self.rest.len().min(PART_BYTES);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(length)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use axum::{Router, extract::Path, http::StatusCode, middleware::from_fn_with_state, routing::get};
    use tower::ServiceExt;

    use super::*;

    fn router() -> Router {
        Router::new()
            .route("/{size}", get(async |Path(size): Path<usize>| vec![7_u8; size]))
            .layer(from_fn_with_state(ResponseMemory::new(1, Duration::from_secs(30)), limit_response_memory))
    }

    async fn ask(router: &Router, size: usize) -> Response {
        let request = Request::get(format!("/{size}")).body(Body::empty()).expect("a request");
        router.clone().oneshot(request).await.expect("a response")
    }

    #[tokio::test]
    async fn unread_large_responses_share_a_limit_and_small_ones_have_none() {
        let router = router();
        let unread = ask(&router, 600 * 1024).await;
        assert_eq!(unread.status(), StatusCode::OK);
        assert_eq!(unread.headers()["content-length"], "614400");
        let refused = ask(&router, 600 * 1024).await;
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(refused.headers().contains_key("retry-after"));
        assert_eq!(ask(&router, SMALL_RESPONSE_BYTES).await.status(), StatusCode::OK);
        let read = axum::body::to_bytes(unread.into_body(), usize::MAX).await.expect("a body");
        assert_eq!(read, vec![7_u8; 600 * 1024]);
        // Larger than all of the memory: only alone.
        let large = ask(&router, 3 * 1024 * 1024).await;
        assert_eq!(large.status(), StatusCode::OK);
        assert_eq!(ask(&router, 300 * 1024).await.status(), StatusCode::SERVICE_UNAVAILABLE);
        drop(large);
        assert_eq!(ask(&router, 300 * 1024).await.status(), StatusCode::OK);
    }

    #[tokio::test(start_paused = true)]
    async fn a_response_that_is_read_too_slowly_is_broken_off() {
        let router = router();
        let seconds = 1024 * 1024 / MIN_BYTES_PER_SECOND;
        for (waited, is_whole) in [(seconds + 29, true), (seconds + 31, false)] {
            let slow = ask(&router, 1024 * 1024).await;
            tokio::time::advance(Duration::from_secs(waited)).await;
            assert_eq!(axum::body::to_bytes(slow.into_body(), usize::MAX).await.is_ok(), is_whole, "{waited} s");
        }
    }
}
