//! What happens to every request before and after its handler, one file for each step. `serve` composes them.

pub mod catch_panic;
pub mod cors;
pub mod forwarded;
pub mod log;
pub mod request_id;
pub mod request_limit;
pub mod response_memory;
pub mod security_headers;
pub mod time_limit;
