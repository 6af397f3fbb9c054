//! A server on loopback whose responses a test chooses byte by byte.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

/// A request that the server has received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Method and path, such as `POST /api/auth/login`.
    pub route: String,
    /// The lines of the head after the first.
    pub headers: String,
    pub body: String,
}

/// Answers one request per connection.
pub struct FakeServer {
    pub url: String,
    received: Arc<Mutex<Vec<Request>>>,
}

impl FakeServer {
    /// Starts a server that answers with the bytes that `answer` returns.
    pub fn start(answer: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static) -> FakeServer {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let received = Arc::new(Mutex::new(Vec::new()));
        let (log, answer) = (received.clone(), Arc::new(answer));
        // The thread ends with the process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, answer) = (log.clone(), answer.clone());
                std::thread::spawn(move || serve(stream, &log, &*answer));
            }
        });
        FakeServer { url, received }
    }

    /// The routes of all requests so far.
    pub fn routes(&self) -> Vec<String> {
        self.received().into_iter().map(|request| request.route).collect()
    }

    pub fn received(&self) -> Vec<Request> {
        self.received.lock().expect("no panic").clone()
    }
}

fn serve(stream: TcpStream, log: &Mutex<Vec<Request>>, answer: &(impl Fn(&Request) -> Vec<u8> + ?Sized)) {
    let mut reader = BufReader::new(&stream);
    let mut line = String::new();
    if reader.read_line(&mut line).unwrap_or_default() == 0 {
        return;
    }
    let route = line.rsplit_once(' ').map(|(route, _)| route.to_owned()).unwrap_or_default();
    let mut headers = String::new();
    loop {
        line.clear();
        if reader.read_line(&mut line).unwrap_or_default() <= 2 {
            break;
        }
        headers.push_str(&line.to_lowercase());
    }
    let length = headers.lines().find_map(|header| header.strip_prefix("content-length: ")?.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or_default()];
    if reader.read_exact(&mut body).is_err() {
        return;
    }
    let request = Request { route, headers, body: String::from_utf8(body).unwrap_or_default() };
    log.lock().expect("no panic").push(request.clone());
    // A client that refuses the response closes the connection.
    let _ = (&stream).write_all(&answer(&request));
}

/// The bytes of a response with a JSON body.
pub fn json(status: &str, body: &serde_json::Value) -> Vec<u8> {
    response(status, "content-type: application/json\r\n", body.to_string().as_bytes())
}

/// The bytes of a response. Each of the headers ends with a line break.
pub fn response(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}
