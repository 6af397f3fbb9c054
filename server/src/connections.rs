//! Accepting connections: how many there may be, and how long a client may take to read.

use std::{
    future::{Ready, ready},
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum_server::accept::Accept;
use tokio::{
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_io_timeout::TimeoutStream;
use tower::Service;

/// Accepts a connection if there are not too many, and closes it if a write makes no progress for too long.
#[derive(Clone)]
pub struct Acceptor {
    /// One permit for each connection that may be open.
    permits: Arc<Semaphore>,
    write_timeout: Duration,
    /// Whether the limit was reached the last time, to log it once and not for each connection.
    is_full: Arc<AtomicBool>,
}

/// The service of an open connection. It is dropped with the connection.
#[derive(Clone)]
pub struct Counted<S> {
    service: S,
    _permit: Arc<OwnedSemaphorePermit>,
}

impl<S: Service<R>, R> Service<R> for Counted<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: R) -> S::Future {
        self.service.call(request)
    }
}

impl Acceptor {
    /// Allows this many open connections.
    pub fn new(connections: usize, write_timeout: Duration) -> Acceptor {
        Acceptor { permits: Arc::new(Semaphore::new(connections)), write_timeout, is_full: Arc::default() }
    }
}

impl<S> Accept<TcpStream, S> for Acceptor {
    type Stream = Pin<Box<TimeoutStream<TcpStream>>>;
    type Service = Counted<S>;
    type Future = Ready<io::Result<(Self::Stream, Self::Service)>>;

    /// Closes the connection at once if there are too many.
    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else {
            if !self.is_full.swap(true, Ordering::Relaxed) {
                tracing::warn!("--max-connections is reached; new connections are closed");
            }
            return ready(Err(io::ErrorKind::ConnectionRefused.into()));
        };
        self.is_full.store(false, Ordering::Relaxed);
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(self.write_timeout));
        ready(Ok((Box::pin(stream), Counted { service, _permit: Arc::new(permit) })))
    }
}
