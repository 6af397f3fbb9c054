//! PostgreSQL: pooled connections, prepared statements, and the schema.
//!
//! - `failure`: why an operation failed
//! - `feed_versions`: reading the feed versions of concurrent requests in one query
//! - `write`: the statements of a transaction

mod failure;
mod feed_versions;
mod write;

use std::{
    net::IpAddr,
    str::FromStr,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use backon::{ExponentialBuilder, Retryable};
use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime};
use tokio_postgres::{
    Client, Config, NoTls, Row, Socket,
    config::{Host, SslMode},
    tls::MakeTlsConnect,
    types::ToSql,
};
use tokio_postgres_rustls::MakeRustlsConnect;

pub use self::failure::Failure;
use self::feed_versions::FeedVersions;
pub use self::write::{Value, Write, WriteStatement};
use super::StoreError;

mod migrations {
    refinery::embed_migrations!("../migrations/server-postgres");
}

/// The maximum number of connections of this process.
const MAX_CONNECTIONS: usize = 16;
/// The timeout for getting a connection.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(5);
/// The settings of every connection, in milliseconds. The timeout for locks is the same as with SQLite; statements end
/// before the request times out; idle transactions do not keep locks.
const SESSION_SETTINGS: &str =
    "SET lock_timeout = 5000; SET statement_timeout = 15000; SET idle_in_transaction_session_timeout = 20000";
/// The advisory lock of the program that migrates the schema. "MVSv".
const MIGRATION_LOCK: i64 = 0x4d56_5376;
/// The timeout for the migration of another program, and for the locks of tables that a migration changes.
const MIGRATION_LOCK_TIMEOUT: Duration = Duration::from_secs(60);
/// The interval between attempts to lock migrations.
const MIGRATION_LOCK_INTERVAL: Duration = Duration::from_millis(200);
/// How often a transaction is retried after a deadlock or serialization failure.
const MAX_RETRIES: usize = 5;

/// A pool of connections. Cloning shares it.
#[derive(Clone)]
pub struct Postgres {
    pool: Pool,
    feed_versions: FeedVersions,
}

/// Parses a URL. Connections to other hosts require TLS unless the URL disables it.
///
/// # Errors
/// [`tokio_postgres::Error`] if the URL is invalid.
pub fn config(url: &str) -> Result<Config, tokio_postgres::Error> {
    let mut config = Config::from_str(url)?;
    // `prefer`, the default, would fall back to no encryption.
    if config.get_ssl_mode() == SslMode::Prefer {
        config.ssl_mode(if is_on_this_machine(&config) { SslMode::Disable } else { SslMode::Require });
    }
    config.application_name("garage-server").connect_timeout(CONNECTION_TIMEOUT);
    Ok(config)
}

/// Whether all addresses are on this machine. `hostaddr` takes precedence over `host`.
fn is_on_this_machine(config: &Config) -> bool {
    match config.get_hostaddrs() {
        [] => config.get_hosts().iter().all(is_loopback),
        addresses => addresses.iter().all(IpAddr::is_loopback),
    }
}

fn is_loopback(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()),
        #[cfg(unix)]
        Host::Unix(_) => true,
    }
}

fn tls() -> anyhow::Result<MakeRustlsConnect> {
    let tls = MakeRustlsConnect::with_native_certs();
    let (tls, _unreadable) =
        tls.map_err(|errors| anyhow::anyhow!("this system's certificates cannot be read: {errors:?}"))?;
    Ok(tls)
}

impl Postgres {
    /// Migrates the schema and creates the pool.
    ///
    /// # Errors
    /// If the database cannot be reached, or its schema cannot be migrated.
    pub async fn open(config: &Config) -> anyhow::Result<Postgres> {
        migrate(config, MIGRATION_LOCK_TIMEOUT).await?;
        let fast = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = match config.get_ssl_mode() {
            SslMode::Disable => Manager::from_config(config.clone(), NoTls, fast),
            _ => Manager::from_config(config.clone(), tls()?, fast),
        };
        let session = Hook::async_fn(|client: &mut deadpool_postgres::ClientWrapper, _| {
            Box::pin(async move { client.batch_execute(SESSION_SETTINGS).await.map_err(HookError::Backend) })
        });
        let pool = Pool::builder(manager)
            .max_size(MAX_CONNECTIONS)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(CONNECTION_TIMEOUT))
            .create_timeout(Some(CONNECTION_TIMEOUT))
            .recycle_timeout(Some(CONNECTION_TIMEOUT))
            .post_create(session)
            .build()?;
        Ok(Postgres { feed_versions: FeedVersions::start(pool.clone()), pool })
    }

    /// Gets a connection from the pool.
    pub async fn connection(&self) -> Result<Object, PoolError> {
        self.pool.get().await
    }

    /// The user's feed version: the version of the last change, 0 before the first.
    pub async fn feed_version(&self, user: &str) -> Result<i64, StoreError> {
        self.feed_versions.of(user).await
    }

    /// Begins a write for a user and reads its facts, in one round trip. Until it ends, other writes for the user wait.
    /// `facts` is a statement that returns one row.
    pub async fn begin(
        &self,
        user: &str,
        facts: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<(Write, Row), Failure> {
        let connection = self.connection().await?;
        let lock = connection.prepare_cached("SELECT FROM feeds WHERE user_id = $1 FOR UPDATE").await?;
        let facts = connection.prepare_cached(facts).await?;
        let write = Write { connection: Some(connection) };
        let connection = write.connection()?;
        // Sent together, in this order. Each statement sees what was committed when it begins, so the facts are current
        // after the lock is granted.
        let user_parameter: [&(dyn ToSql + Sync); 1] = [&user];
        let (begun, locked, row) = tokio::join!(
            biased;
            connection.batch_execute("BEGIN"),
            connection.execute(&lock, &user_parameter),
            connection.query_one(&facts, parameters),
        );
        let read = async {
            begun?;
            if locked? > 0 {
                return row;
            }
            // The user has no feed before the first write.
            let first = "INSERT INTO feeds (user_id, version) SELECT $1, base FROM epoch
                         ON CONFLICT (user_id) DO UPDATE SET version = feeds.version";
            connection.execute(&connection.prepare_cached(first).await?, &user_parameter).await?;
            connection.query_one(&facts, parameters).await
        };
        match read.await {
            Ok(row) => Ok((write, row)),
            Err(error) => {
                let _ = write.roll_back().await;
                Err(error.into())
            }
        }
    }

    /// Begins a transaction that reads the database as it is at one moment.
    pub async fn begin_snapshot(&self) -> Result<Write, Failure> {
        let write = Write { connection: Some(self.connection().await?) };
        write.connection()?.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        Ok(write)
    }

    /// Runs an operation, and retries it after conflicts with other transactions.
    pub async fn with_retries<T, F: Future<Output = Result<T, Failure>>>(
        &self,
        operation: impl FnMut() -> F,
    ) -> Result<T, StoreError> {
        let pauses = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(5))
            .with_jitter()
            .with_max_times(MAX_RETRIES);
        Ok(operation.retry(pauses).when(Failure::is_retryable).await?)
    }

    pub(super) async fn ping(&self) -> Result<(), StoreError> {
        let is_writable = async {
            let connection = self.connection().await?;
            // A standby, and a database that an operator has made read-only, still answer reads.
            let sql = "SELECT current_setting('transaction_read_only') = 'off' FROM epoch";
            let row = connection.query_one(&connection.prepare_cached(sql).await?, &[]).await?;
            Ok::<bool, Failure>(row.try_get(0)?)
        };
        if is_writable.await? { Ok(()) } else { Err(StoreError::Unavailable) }
    }

    /// The numbers of connections, of idle ones, and of requests that wait for one.
    pub(super) fn usage(&self) -> (usize, usize, usize) {
        let status = self.pool.status();
        (status.size, status.available, status.waiting)
    }

    pub(super) fn close(self) {
        self.pool.close();
    }
}

/// Migrates the schema. If it is up to date, this neither takes locks nor needs the right to change it.
async fn migrate(config: &Config, lock_timeout: Duration) -> anyhow::Result<()> {
    let mut client = connect(config).await?;
    // Waiting for the lock of a table must end too: requests of other servers queue behind it.
    client.batch_execute(&format!("SET lock_timeout = {}", lock_timeout.as_millis())).await?;
    let runner = migrations::migrations::runner();
    let known = runner.get_migrations().iter().map(refinery::Migration::version).max().unwrap_or_default();
    let known = i64::from(known);
    if schema_version(&client).await? == known {
        return Ok(());
    }
    lock_migrations(&client, lock_timeout).await?;
    let found = schema_version(&client).await?;
    if found > known {
        bail!("it was written by a newer version (schema {found}, this version knows {known})");
    }
    runner.set_grouped(true).run_async(&mut client).await.context("the schema could not be brought up to date")?;
    Ok(())
}

/// The version of the schema; 0 before the first migration.
async fn schema_version(client: &Client) -> anyhow::Result<i64> {
    let has_history = "SELECT to_regclass('refinery_schema_history') IS NOT NULL";
    if !client.query_one(has_history, &[]).await?.get::<_, bool>(0) {
        return Ok(0);
    }
    let version = "SELECT CAST(coalesce(max(version), 0) AS BIGINT) FROM refinery_schema_history";
    Ok(client.query_one(version, &[]).await?.get(0))
}

/// Locks migrations, waiting for other programs. Closing the connection releases the lock.
async fn lock_migrations(client: &Client, timeout: Duration) -> anyhow::Result<()> {
    let until = Instant::now() + timeout;
    for attempt in 0.. {
        let locked = client.query_one("SELECT pg_try_advisory_lock($1)", &[&MIGRATION_LOCK]).await?;
        if locked.get(0) {
            return Ok(());
        }
        if Instant::now() >= until {
            bail!("another program has been changing the schema for {} s", timeout.as_secs());
        }
        if attempt == 0 {
            tracing::info!("waiting for another program that is changing the schema");
        }
        tokio::time::sleep(MIGRATION_LOCK_INTERVAL).await;
    }
    Ok(())
}

/// Connects without the timeouts of requests, because a migration may take longer.
async fn connect(config: &Config) -> anyhow::Result<Client> {
    match config.get_ssl_mode() {
        SslMode::Disable => connect_with(config, NoTls).await,
        _ => connect_with(config, tls()?).await,
    }
}

async fn connect_with<T>(config: &Config, tls: T) -> anyhow::Result<Client>
where
    T: MakeTlsConnect<Socket>,
    T::Stream: Send + 'static,
{
    let (client, connection) = config.connect(tls).await.context("cannot connect to the database")?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::error!(%error, "the connection to the database was lost");
        }
    });
    Ok(client)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_to_other_hosts_require_tls_unless_the_url_disables_it() {
        for (url, mode) in [
            ("postgres://garage@127.0.0.1/garage", SslMode::Disable),
            ("postgres://garage@localhost:5433/garage", SslMode::Disable),
            ("postgres://garage@[::1]/garage", SslMode::Disable),
            ("postgres://garage@%2Frun%2Fpostgresql/garage", SslMode::Disable),
            ("postgres://garage@localhost/garage?sslmode=require", SslMode::Require),
            ("postgres://garage@db.example.org/garage", SslMode::Require),
            ("postgres://garage@localhost,db.example.org/garage", SslMode::Require),
            ("postgres://garage@db.example.org/garage?sslmode=disable", SslMode::Disable),
            ("postgres://garage@db.example.org/garage?sslmode=prefer", SslMode::Require),
            ("postgres://garage:sslmode=disable@db.example.org/garage", SslMode::Require),
            ("postgres://garage@localhost/garage?hostaddr=192.0.2.1", SslMode::Require),
            ("host=localhost hostaddr=192.0.2.1 user=garage", SslMode::Require),
            ("host=db.example.org hostaddr=127.0.0.1 user=garage", SslMode::Disable),
        ] {
            assert_eq!(config(url).expect("a URL").get_ssl_mode(), mode, "{url}");
        }
    }

    /// A new database on the cluster that `GARAGE_TEST_POSTGRES` names.
    async fn new_database() -> Config {
        let mut config = config(&std::env::var("GARAGE_TEST_POSTGRES").expect("GARAGE_TEST_POSTGRES")).expect("a URL");
        let name = format!("migrated_{}", uuid::Uuid::now_v7().simple());
        let admin = connect(&config).await.expect("a connection");
        admin.batch_execute(&format!("CREATE DATABASE {name}")).await.expect("a database");
        config.dbname(name);
        config
    }

    /// While a migration waits for a lock, all statements of other programs that use the table wait behind it.
    #[tokio::test]
    #[ignore = "needs PostgreSQL: cargo xtask contract"]
    async fn a_migration_that_cannot_lock_a_table_gives_up_and_changes_nothing() {
        let config = new_database().await;
        let other = connect(&config).await.expect("a connection");
        let original = include_str!("../../../../migrations/server-postgres/V0001__vehicles.sql");
        other.batch_execute(original).await.expect("the original's table");
        other.batch_execute("BEGIN; LOCK TABLE vehicles IN ACCESS SHARE MODE").await.expect("a lock");
        let migrated = migrate(&config, Duration::from_millis(100));
        let failed = tokio::time::timeout(Duration::from_secs(60), migrated).await.expect("it ends");
        let reason = format!("{:?}", failed.expect_err("it fails"));
        assert!(reason.contains("lock timeout"), "{reason}");
        assert_eq!(schema_version(&other).await.expect("a version"), 0);
        other.batch_execute("ROLLBACK").await.expect("released");
        migrate(&config, MIGRATION_LOCK_TIMEOUT).await.expect("migrated");
        assert!(schema_version(&other).await.expect("a version") > 0);
    }

    #[tokio::test]
    #[ignore = "needs PostgreSQL: cargo xtask contract"]
    async fn a_migration_gives_up_if_another_one_does_not_end() {
        let config = new_database().await;
        let other = connect(&config).await.expect("a connection");
        lock_migrations(&other, Duration::ZERO).await.expect("a lock");
        let failed = migrate(&config, Duration::from_millis(100)).await.expect_err("it fails");
        assert!(failed.to_string().contains("another program has been changing the schema"), "{failed:?}");
        drop(other);
        migrate(&config, MIGRATION_LOCK_TIMEOUT).await.expect("migrated");
    }
}
