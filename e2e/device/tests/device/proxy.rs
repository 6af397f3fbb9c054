//! A proxy between devices and a server that breaks connections.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

/// Forwards connections. While it is faulty, it breaks some of them after some bytes, in either direction.
pub struct Proxy {
    pub url: String,
    is_faulty: Arc<AtomicBool>,
}

impl Proxy {
    pub fn start(server: &str) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").expect("an address");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let is_faulty = Arc::new(AtomicBool::new(false));
        let server = server.trim_start_matches("http://").to_owned();
        let (shared, random) = (is_faulty.clone(), Arc::new(AtomicU64::new(1)));
        // Ends with the process.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let budgets = [0, 1].map(|_| match shared.load(Ordering::Relaxed) {
                    true => broken_after(&random),
                    false => u64::MAX,
                });
                let Ok(upstream) = TcpStream::connect(&server) else { continue };
                forward(&client, &upstream, budgets[0]);
                forward(&upstream, &client, budgets[1]);
            }
        });
        Proxy { url, is_faulty }
    }

    pub fn set_faulty(&self, is_faulty: bool) {
        self.is_faulty.store(is_faulty, Ordering::Relaxed);
    }
}

/// After how many bytes a direction of a connection is broken; half of them are not.
fn broken_after(random: &AtomicU64) -> u64 {
    let number = random.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    if number.is_multiple_of(2) { u64::MAX } else { number % 3_000 }
}

fn forward(from: &TcpStream, to: &TcpStream, mut budget: u64) {
    let (Ok(mut from), Ok(mut to)) = (from.try_clone(), to.try_clone()) else { return };
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let allowed = usize::try_from(budget).map_or(count, |budget| budget.min(count));
            if to.write_all(&buffer[..allowed]).is_err() || allowed < count {
                break;
            }
            budget = budget.saturating_sub(count as u64);
        }
        let _ = (from.shutdown(std::net::Shutdown::Both), to.shutdown(std::net::Shutdown::Both));
    });
}
