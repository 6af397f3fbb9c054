//! The contract (`docs/contract.md`) over HTTP, as clients see it.
//!
//! By default each test starts a server of this repository, on SQLite or on the PostgreSQL cluster that
//! `GARAGE_TEST_POSTGRES` names. If `GARAGE_TEST_BASE_URL` names a running server, all tests except `own`, `store` and the last
//! two of `sync` use that one, whichever backend it is. Tests of capabilities that it does not list are skipped.
//!
//! `GARAGE_TEST_KEY` is the path of an ES256 private key in PEM (PKCS #8) whose tokens the running server accepts; the stem
//! of the file name is the `kid`. `GARAGE_TEST_ISSUER` (default `garage-server`) and `GARAGE_TEST_AUDIENCE` (default
//! `garage`) are the `iss` and `aud` of these tokens. Without a key, the tests register users.

mod auth;
mod decode;
mod operations;
mod own;
mod requests;
mod routes;
mod store;
mod support;
mod sync;
mod tokens;
mod vehicles;
mod waits;
