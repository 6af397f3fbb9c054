//! The command `serve`: binds the address, serves, and stops after the requests under way.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, bail};
use axum_server::Handle;
use garage_decode::SnapshotHolder;
use ipnet::IpNet;

use crate::{
    App,
    auth::{Auth, Passwords},
    config::ServeArgs,
    connections::Acceptor,
    log, metrics, middleware, router,
    store::Store,
};

/// How long requests under way may take when the server stops.
const SHUTDOWN_GRACE_PERIOD: Duration = Duration::from_secs(10);
/// The most that is read ahead or kept for writing for one connection. This limits the head of a request too.
const CONNECTION_BUFFER_BYTES: usize = 64 * 1024;

/// Serves until SIGTERM or Ctrl-C.
///
/// # Errors
/// A setting is wrong, the database or the keys cannot be used, or the address is taken.
pub async fn serve(args: ServeArgs) -> anyhow::Result<()> {
    std::panic::set_hook(Box::new(log::log_panic));
    if is_unencrypted(args.listen, &args.trusted_proxy) {
        tracing::warn!(
            "--listen (GARAGE_LISTEN): passwords and tokens cross the network without encryption. Serve behind a proxy \
             that does TLS, and name it with --trusted-proxy"
        );
    }
    let location = args.database.location()?;
    let store = Store::open(&location).await.context("--database (GARAGE_DATABASE)")?;
    let keys = args.keys.folder()?;
    store.count(&keys).await?;
    let auth = match &args.issuer {
        Some(_) if args.open_registration => {
            bail!("--open-registration (GARAGE_OPEN_REGISTRATION) has no meaning with --issuer: it has the accounts")
        }
        Some(issuer) => Auth::external(issuer, &args.audience).context("--issuer (GARAGE_ISSUER)")?,
        None => {
            let passwords = Passwords::new().context("the threads that hash passwords cannot be started")?;
            let auth = Auth::own(&keys, passwords, args.open_registration, args.rate_limit);
            auth.context("--keys (GARAGE_KEYS)")?
        }
    };
    let snapshot = garage_decode::default_snapshot_path()?;
    let decoder = SnapshotHolder::new(snapshot, garage_decode::default_packed_paths());
    // Verifying the data takes longer than all the rest of the start.
    let opened = decoder.clone();
    tokio::spawn(async move {
        if let Err(error) = opened.get().await {
            tracing::warn!(%error, "VINs are not decoded before there is vPIC data");
        }
    });
    // The other half of the connections is for requests that do not wait.
    let most_waits = args.limits.max_connections / 2;
    let (proxies, quota, list_cache) = (args.trusted_proxy, args.vehicle_quota, args.list_cache.0);
    let app = App::new(store.clone(), auth, decoder, proxies, quota, list_cache, most_waits);
    if let Some(address) = args.metrics {
        let served = metrics::serve(address, app.metrics.clone(), store.clone()).await;
        let address = served.with_context(|| format!("--metrics (GARAGE_METRICS): {address} cannot be served"))?;
        tracing::info!(%address, "serving metrics");
    }
    let in_use = || format!("--listen (GARAGE_LISTEN): {} cannot be served", args.listen);
    let listener = std::net::TcpListener::bind(args.listen).with_context(in_use)?;
    println!("http://{}", listener.local_addr()?);
    let handle = Handle::new();
    let (stopping, changes) = (handle.clone(), app.changes.clone());
    tokio::spawn(async move {
        stop_signal().await;
        changes.end();
        stopping.graceful_shutdown(Some(SHUTDOWN_GRACE_PERIOD));
    });
    let counting = tokio::spawn(store.clone().count_writes(keys.clone(), app.written.clone()));
    let limits = &args.limits;
    let metrics = args.metrics.map(|_| app.metrics.clone());
    let service = middleware::add(router(app), &args.cors_origin, limits, metrics);
    let mut server = axum_server::from_tcp(listener)?
        .http1_only()
        .acceptor(Acceptor::new(limits.max_connections, limits.write_timeout))
        .accept_error_handler(|peer, error| {
            // Those that have a peer are closed by the acceptor, which logs why.
            if peer.is_none() {
                tracing::warn!(%error, "a connection cannot be accepted");
            }
        })
        .first_request_timeout(limits.idle_timeout)
        .handle(handle);
    server
        .http_builder()
        .http1()
        // Counted from the end of the previous response, so it limits idle connections too.
        .header_read_timeout(limits.idle_timeout)
        .max_buf_size(CONNECTION_BUFFER_BYTES);
    server.serve(service.into_make_service_with_connect_info::<SocketAddr>()).await?;
    counting.abort();
    // The error is in the log.
    let _ = store.count(&keys).await;
    store.close().await;
    Ok(())
}

/// Whether clients can reach the server over a network without TLS. The server has none itself; `--trusted-proxy` says
/// that a proxy is in front of it, which then does TLS.
fn is_unencrypted(listen: SocketAddr, trusted_proxies: &[IpNet]) -> bool {
    !listen.ip().to_canonical().is_loopback() && trusted_proxies.is_empty()
}

async fn stop_signal() {
    #[cfg(unix)]
    let terminated = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminated = std::future::pending::<()>();
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_address_on_a_network_without_a_proxy_is_unencrypted() {
        let proxy: Vec<IpNet> = vec!["10.0.0.0/8".parse().expect("a network")];
        for (listen, unencrypted) in [
            ("127.0.0.1:3001", false),
            ("127.8.0.1:3001", false),
            ("[::1]:3001", false),
            ("[::ffff:127.0.0.1]:3001", false),
            ("0.0.0.0:3001", true),
            ("[::]:3001", true),
            ("192.0.2.1:3001", true),
        ] {
            let listen = listen.parse().expect("an address");
            assert_eq!(is_unencrypted(listen, &[]), unencrypted, "{listen}");
            assert!(!is_unencrypted(listen, &proxy), "{listen}");
        }
    }
}
