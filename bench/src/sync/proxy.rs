//! A proxy between a device and a server that counts bytes and requests.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
};

/// Bytes of TCP in each direction, headers of HTTP included, and requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    pub to_server: u64,
    pub to_device: u64,
    pub requests: u64,
}

#[derive(Default)]
struct Counters {
    to_server: AtomicU64,
    to_device: AtomicU64,
    requests: AtomicU64,
}

/// Forwards connections until the process ends.
pub struct Proxy {
    pub url: String,
    counters: Arc<Counters>,
}

impl Proxy {
    pub fn start(server: &str) -> anyhow::Result<Proxy> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("http://{}", listener.local_addr()?);
        let server = server.trim_start_matches("http://").to_owned();
        let counters = Arc::new(Counters::default());
        let shared = counters.clone();
        thread::spawn(move || {
            for device in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(&server) else { continue };
                let _ = (device.set_nodelay(true), server.set_nodelay(true));
                let (to_server, to_device) = (shared.clone(), shared.clone());
                forward(&device, &server, move |bytes| {
                    to_server.to_server.fetch_add(bytes.len() as u64, Relaxed);
                    to_server.requests.fetch_add(request_lines(bytes), Relaxed);
                });
                forward(&server, &device, move |bytes| {
                    to_device.to_device.fetch_add(bytes.len() as u64, Relaxed);
                });
            }
        });
        Ok(Proxy { url, counters })
    }

    pub fn counts(&self) -> Counts {
        let Counters { to_server, to_device, requests } = &*self.counters;
        let load = |counter: &AtomicU64| counter.load(Relaxed);
        Counts { to_server: load(to_server), to_device: load(to_device), requests: load(requests) }
    }
}

/// The number of requests that begin in these bytes; a small request comes in one piece.
fn request_lines(bytes: &[u8]) -> u64 {
    let end = b" HTTP/1.1\r\n";
    bytes.windows(end.len()).filter(|window| window == end).count() as u64
}

fn forward(from: &TcpStream, to: &TcpStream, count: impl Fn(&[u8]) + Send + 'static) {
    let (Ok(mut from), Ok(mut to)) = (from.try_clone(), to.try_clone()) else { return };
    thread::spawn(move || {
        let mut buffer = [0; 64 * 1024];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            count(&buffer[..length]);
            if to.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
        let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
    });
}
