//! The command line and its environment variables.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context, bail};
use axum::http::HeaderValue;
use clap::{Args as ClapArgs, Parser, Subcommand, builder::BoolishValueParser};
use ipnet::IpNet;

use crate::{
    auth::AUDIENCE,
    middleware::cors::parse_origin,
    store::{Location, postgres},
};

/// The MotoVault server: vehicles and accounts over REST.
#[derive(Debug, Parser)]
#[command(name = "garage-server", version, propagate_version = true, after_help = EXAMPLES)]
pub struct Args {
    /// The command to run.
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
Examples:
  garage-server serve
  garage-server serve --listen 0.0.0.0:3001 --database sqlite:/srv/garage/server.db
  garage-server user add ada@example.org < password.txt

Exit codes: 0 success, 1 failure, 2 invalid usage.";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server until SIGTERM or Ctrl-C; requests in progress are completed
    Serve(Box<ServeArgs>),
    /// Migrate the database's schema to this version, and exit
    Migrate(DatabaseArgs),
    /// Copy a SQLite database into a new file; servers can keep running
    Backup(FileArgs),
    /// Replace the content of a SQLite database with a backup; the replaced content is saved next to the database
    ///
    /// Servers can keep running. A restore begins a new epoch: no version that a client has is assigned again. For
    /// PostgreSQL, use its own tools, and new-epoch
    Restore(FileArgs),
    /// Begin a new epoch, after a PostgreSQL database was restored: no version that a client has is assigned again
    ///
    /// At its next start a server does this itself if it has served a newer state of the database. It does not know about
    /// writes of other backends
    NewEpoch {
        /// The database to use.
        #[command(flatten)]
        database: DatabaseArgs,
        /// The folder of the keys.
        #[command(flatten)]
        keys: KeyArgs,
    },
    /// Ask a running server of any backend whether it and its database work
    ///
    /// Prints the response, and fails unless it is positive
    Health {
        /// The server
        #[arg(env = "GARAGE_URL", default_value = "http://127.0.0.1:3001", value_name = "URL")]
        url: String,
    },
    /// Add, list, disable and enable accounts, and reset their passwords
    #[command(subcommand)]
    User(UserCommand),
    /// Create a signing key; servers publish it within a minute and sign with it after 5 minutes; older keys stay valid
    RotateKeys(KeyArgs),
    /// Delete old keys, except the current signing key and keys whose tokens can still be valid
    RetireKeys {
        /// Minimum age of the keys to delete
        #[arg(long, value_name = "DAYS")]
        older_than: u16,
        /// The folder of the keys.
        #[command(flatten)]
        keys: KeyArgs,
    },
    /// Print the OpenAPI document of all routes
    Openapi,
}

/// The option that selects the database.
#[derive(Debug, ClapArgs)]
pub struct DatabaseArgs {
    /// sqlite:PATH or postgres://USER:PASSWORD@HOST/DATABASE [default: a file in the user's data folder]
    ///
    /// Connections to PostgreSQL on another host require TLS with a certificate that this system trusts;
    /// ?sslmode=disable in the URL turns TLS off. Use the environment variable for a URL with a password: process lists
    /// show the command line
    #[arg(long, env = "GARAGE_DATABASE", hide_env_values = true, value_name = "URL")]
    pub database: Option<String>,
}

/// The options of `backup` and `restore`.
#[derive(Debug, ClapArgs)]
pub struct FileArgs {
    /// The file of the backup
    pub file: PathBuf,
    /// The database to use.
    #[command(flatten)]
    pub database: DatabaseArgs,
}

/// The option that selects the keys.
#[derive(Debug, ClapArgs)]
pub struct KeyArgs {
    /// The folder of the keys that sign tokens; several servers can share it [default: in the user's data folder]
    #[arg(long, env = "GARAGE_KEYS", value_name = "FOLDER")]
    pub keys: Option<PathBuf>,
}

/// The options of `serve`.
#[derive(Debug, ClapArgs)]
pub struct ServeArgs {
    /// The address to listen on; port 0 selects a free port
    #[arg(long, env = "GARAGE_LISTEN", default_value = "127.0.0.1:3001", value_name = "ADDRESS:PORT")]
    pub listen: SocketAddr,
    /// The database to use.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// The folder of the keys.
    #[command(flatten)]
    pub keys: KeyArgs,
    /// Let anyone register; by default, only the first account can be registered
    #[arg(long, env = "GARAGE_OPEN_REGISTRATION", value_parser = BoolishValueParser::new())]
    pub open_registration: bool,
    /// Maximum number of logins and registrations per minute for one account from one network; five times as many are
    /// allowed from one network, and ten times as many for one account
    #[arg(long, env = "GARAGE_RATE_LIMIT", default_value_t = 10, value_name = "NUMBER",
        value_parser = clap::value_parser!(u32).range(1..))]
    pub rate_limit: u32,
    /// Maximum number of vehicles of an account, including removed ones
    #[arg(long, env = "GARAGE_VEHICLE_QUOTA", default_value_t = 100_000, value_name = "NUMBER",
        value_parser = clap::value_parser!(u32).range(1..))]
    pub vehicle_quota: u32,
    /// How long a user's list is sent again without a look at the database, such as 300s. A write through this server ends
    /// that for its user; a write by another program shows only after this time
    #[arg(long, env = "GARAGE_LIST_CACHE", default_value = "off", value_name = "SECONDS|off", value_parser = list_cache)]
    pub list_cache: ListCache,
    /// An OpenID Connect issuer whose tokens are accepted; the server then has no accounts of its own
    #[arg(long, env = "GARAGE_ISSUER", value_name = "URL")]
    pub issuer: Option<String>,
    /// The audience (aud) of the issuer's tokens
    #[arg(long, env = "GARAGE_AUDIENCE", value_name = "NAME", requires = "issuer", default_value = AUDIENCE)]
    pub audience: String,
    /// An origin whose pages may use this server, such as https://garage.example.org, without a path; can be repeated
    #[arg(long, env = "GARAGE_CORS_ORIGIN", value_name = "ORIGIN", value_delimiter = ',', value_parser = parse_origin)]
    pub cors_origin: Vec<HeaderValue>,
    /// The address of a TLS proxy, or a network such as 10.0.0.0/8, whose X-Forwarded-For is trusted; can be repeated
    #[arg(long, env = "GARAGE_TRUSTED_PROXY", value_name = "ADDRESS", value_delimiter = ',', value_parser = network)]
    pub trusted_proxy: Vec<IpNet>,
    /// The address to serve /metrics on, in Prometheus' text format; do not expose it to clients
    #[arg(long, env = "GARAGE_METRICS", value_name = "ADDRESS:PORT")]
    pub metrics: Option<SocketAddr>,
    /// The limits on connections and requests.
    #[command(flatten)]
    pub limits: LimitArgs,
}

/// How long lists are remembered, if they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListCache(pub Option<Duration>);

/// Limits on connections and requests.
#[derive(Debug, ClapArgs)]
pub struct LimitArgs {
    /// Maximum number of open connections; more are closed immediately. Each device that is online keeps one, on which it
    /// waits for changes; half of them can do that
    #[arg(long, env = "GARAGE_MAX_CONNECTIONS", default_value = "512", value_name = "NUMBER", value_parser = number)]
    pub max_connections: usize,
    /// Maximum number of requests that are handled at the same time; more return 503
    #[arg(long, env = "GARAGE_MAX_REQUESTS", default_value = "128", value_name = "NUMBER", value_parser = number)]
    pub max_requests: usize,
    /// Timeout until the head of a connection's next request is complete
    #[arg(long, env = "GARAGE_IDLE_TIMEOUT", default_value = "60", value_name = "SECONDS", value_parser = seconds)]
    pub idle_timeout: Duration,
    /// Timeout for a request, including its body
    #[arg(long, env = "GARAGE_REQUEST_TIMEOUT", default_value = "30", value_name = "SECONDS", value_parser = seconds)]
    pub request_timeout: Duration,
    /// Timeout for a client that reads nothing of a response
    #[arg(long, env = "GARAGE_WRITE_TIMEOUT", default_value = "30", value_name = "SECONDS", value_parser = seconds)]
    pub write_timeout: Duration,
    /// Memory for large responses that clients have not read yet; more of them return 503
    #[arg(long, env = "GARAGE_RESPONSE_MEMORY", default_value = "64", value_name = "MIB",
        value_parser = clap::value_parser!(u16).range(1..))]
    pub response_memory: u16,
}

fn number(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (1..=1_000_000).contains(number));
    number.ok_or_else(|| "must be a number from 1 to 1000000".to_owned())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|seconds| (1..=86_400).contains(seconds));
    seconds.map(Duration::from_secs).ok_or_else(|| "must be a number of seconds from 1 to 86400".to_owned())
}

fn list_cache(text: &str) -> Result<ListCache, String> {
    match text {
        "off" => Ok(ListCache(None)),
        text => seconds(text.strip_suffix('s').unwrap_or(text)).map(|lifetime| ListCache(Some(lifetime))),
    }
}

fn network(text: &str) -> Result<IpNet, String> {
    let parsed = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    parsed.map_err(|_| "must be an IP address or a network such as 10.0.0.0/8".to_owned())
}

/// The commands for accounts. Passwords are read from standard input, because process lists show the command line.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Add an account; its password is prompted for, or read from the first line of standard input
    Add {
        /// The account's email address
        email: String,
        /// The database to use.
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// List the accounts
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
        /// The database to use.
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// End an account's sessions and refuse its logins; its vehicles are kept
    Disable {
        /// The account's email address
        email: String,
        /// The database to use.
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// Accept logins to a disabled account again
    Enable {
        /// The account's email address
        email: String,
        /// The database to use.
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// Set an account's password, prompted for or read from the first line of standard input, and end its sessions; a
    /// disabled account stays disabled
    ResetPassword {
        /// The account's email address
        email: String,
        /// The database to use.
        #[command(flatten)]
        database: DatabaseArgs,
    },
}

impl DatabaseArgs {
    /// The location of the database.
    ///
    /// # Errors
    /// If the URL is neither of SQLite nor of PostgreSQL, or if there is none and the system has no data folder.
    pub fn location(&self) -> anyhow::Result<Location> {
        const SETTING: &str = "--database (GARAGE_DATABASE)";
        let Some(url) = self.database.as_deref() else {
            return Ok(Location::Sqlite(data_folder().context(SETTING)?.join("server.db")));
        };
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            let config = postgres::config(url).with_context(|| format!("{SETTING} is not a valid PostgreSQL URL"))?;
            return Ok(Location::Postgres(Box::new(config)));
        }
        match url.strip_prefix("sqlite:") {
            Some(path) if !path.is_empty() => Ok(Location::Sqlite(PathBuf::from(path))),
            // It may contain a password, so it is not repeated.
            _ => bail!("{SETTING} must be sqlite:PATH or postgres://USER:PASSWORD@HOST/DATABASE"),
        }
    }
}

impl KeyArgs {
    /// The folder of the keys.
    ///
    /// # Errors
    /// If it is not set, and the system has no data folder.
    pub fn folder(&self) -> anyhow::Result<PathBuf> {
        match &self.keys {
            Some(folder) => Ok(folder.clone()),
            None => Ok(data_folder().context("--keys (GARAGE_KEYS)")?.join("keys")),
        }
    }
}

fn data_folder() -> anyhow::Result<PathBuf> {
    let folder = dirs::data_dir().context("the user's data folder is unknown; set HOME or this option")?;
    Ok(folder.join("garage-server"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_definition_is_valid() {
        Args::command().debug_assert();
    }

    #[test]
    fn errors_name_the_invalid_setting() {
        for url in ["", "mysql://x", "sqlite:", "server.db", "postgres://x:secret:z/", "host=x password=secret"] {
            let refused = DatabaseArgs { database: Some(url.to_owned()) }.location().err().expect("refused");
            let refused = format!("{refused:#}");
            assert!(refused.contains("--database (GARAGE_DATABASE)") && !refused.contains("secret"), "{refused}");
        }
        let location = |url: &str| DatabaseArgs { database: Some(url.to_owned()) }.location().expect("a database");
        assert_eq!(location("sqlite:/x/y.db").to_string(), "/x/y.db");
        let postgres = location("postgres://ada:secret@db.example.org/garage").to_string();
        assert_eq!(postgres, "PostgreSQL database garage on db.example.org");
    }
}
