//! What may be said on the command line or in the environment.

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
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
Examples:
  garage-server serve
  garage-server serve --listen 0.0.0.0:3001 --database sqlite:/srv/garage/server.db
  garage-server user add ada@example.org < password.txt

Exit codes: 0 done, 1 refused or failed, 2 wrong usage.";

/// What the server can be told to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve until SIGTERM or Ctrl-C; requests that are under way are finished
    Serve(Box<ServeArgs>),
    /// Bring the database's schema up to date, and end
    Migrate(DatabaseArgs),
    /// Copy a SQLite database into a new file, while servers may be using it
    Backup(FileArgs),
    /// Replace a SQLite database's content by a backup's; what is replaced is saved beside it
    ///
    /// Servers that are using the database continue with it. All clients see that the database is another one (a new
    /// epoch), whatever they have. For PostgreSQL use its own tools: a server notices at its next start that the database
    /// is older than the one it served before
    Restore(FileArgs),
    /// Add, list, disable and enable accounts, and give them new passwords
    #[command(subcommand)]
    User(UserCommand),
    /// Make a new key; running servers publish it within a minute and sign with it after 5 minutes; older keys stay valid
    RotateKeys(KeyArgs),
    /// Delete old keys, except the one that signs and those whose tokens may still be valid
    RetireKeys {
        /// Delete keys that were made longer ago than this
        #[arg(long, value_name = "DAYS")]
        older_than: u16,
        /// The keys.
        #[command(flatten)]
        keys: KeyArgs,
    },
    /// Print the OpenAPI document of all routes
    Openapi,
}

/// Where the data is.
#[derive(Debug, ClapArgs)]
pub struct DatabaseArgs {
    /// sqlite:PATH or postgres://USER:PASSWORD@HOST/DATABASE [default: a file in the user's data folder]
    ///
    /// PostgreSQL on another host is reached by TLS with a certificate that this system trusts; ?sslmode=disable in the
    /// URL turns that off. In the environment, the URL and its password stand in no list of processes
    #[arg(long, env = "GARAGE_DATABASE", hide_env_values = true, value_name = "URL")]
    pub database: Option<String>,
}

/// A backup.
#[derive(Debug, ClapArgs)]
pub struct FileArgs {
    /// The backup's file
    pub file: PathBuf,
    /// The database.
    #[command(flatten)]
    pub database: DatabaseArgs,
}

/// Where the keys are.
#[derive(Debug, ClapArgs)]
pub struct KeyArgs {
    /// The folder of the keys that sign tokens; several servers share one [default: in the user's data folder]
    #[arg(long, env = "GARAGE_KEYS", value_name = "FOLDER")]
    pub keys: Option<PathBuf>,
}

/// How to serve.
#[derive(Debug, ClapArgs)]
pub struct ServeArgs {
    /// The address to serve; port 0 takes a free one
    #[arg(long, env = "GARAGE_LISTEN", default_value = "127.0.0.1:3001", value_name = "ADDRESS:PORT")]
    pub listen: SocketAddr,
    /// The database.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// The keys.
    #[command(flatten)]
    pub keys: KeyArgs,
    /// Whoever comes may register, not only the first
    #[arg(long, env = "GARAGE_OPEN_REGISTRATION", value_parser = BoolishValueParser::new())]
    pub open_registration: bool,
    /// Log-ins a minute for one account from one network; five times as many for all accounts from one network, ten times
    /// as many for one account from all networks
    #[arg(long, env = "GARAGE_RATE_LIMIT", default_value_t = 10, value_name = "NUMBER",
        value_parser = clap::value_parser!(u32).range(1..))]
    pub rate_limit: u32,
    /// Vehicles that an account can have, removed ones included
    #[arg(long, env = "GARAGE_VEHICLE_QUOTA", default_value_t = 100_000, value_name = "NUMBER",
        value_parser = clap::value_parser!(u32).range(1..))]
    pub vehicle_quota: u32,
    /// An OpenID Connect issuer whose tokens are good here; there are no own accounts then
    #[arg(long, env = "GARAGE_ISSUER", value_name = "URL")]
    pub issuer: Option<String>,
    /// What the issuer's tokens have as their audience
    #[arg(long, env = "GARAGE_AUDIENCE", value_name = "NAME", requires = "issuer", default_value = AUDIENCE)]
    pub audience: String,
    /// An origin whose pages may use this server, such as https://garage.example.org, without a path; may be given several
    /// times
    #[arg(long, env = "GARAGE_CORS_ORIGIN", value_name = "ORIGIN", value_delimiter = ',', value_parser = parse_origin)]
    pub cors_origin: Vec<HeaderValue>,
    /// A proxy that does TLS, or a network of them such as 10.0.0.0/8, whose X-Forwarded-For is believed; may be given
    /// several times
    #[arg(long, env = "GARAGE_TRUSTED_PROXY", value_name = "ADDRESS", value_delimiter = ',', value_parser = network)]
    pub trusted_proxy: Vec<IpNet>,
    /// The address to serve metrics on, in Prometheus' text format at /metrics; for operators only
    #[arg(long, env = "GARAGE_METRICS", value_name = "ADDRESS:PORT")]
    pub metrics: Option<SocketAddr>,
    /// The limits.
    #[command(flatten)]
    pub limits: LimitArgs,
}

/// How much of the server clients may use.
#[derive(Debug, ClapArgs)]
pub struct LimitArgs {
    /// Connections that may be open at the same time; more are closed at once
    #[arg(long, env = "GARAGE_MAX_CONNECTIONS", default_value = "512", value_name = "NUMBER", value_parser = number)]
    pub max_connections: usize,
    /// Requests that are handled at the same time; more are answered with 503
    #[arg(long, env = "GARAGE_MAX_REQUESTS", default_value = "128", value_name = "NUMBER", value_parser = number)]
    pub max_requests: usize,
    /// How long a connection may take until the next request's head is complete
    #[arg(long, env = "GARAGE_IDLE_TIMEOUT", default_value = "60", value_name = "SECONDS", value_parser = seconds)]
    pub idle_timeout: Duration,
    /// How long a request may take, including its body
    #[arg(long, env = "GARAGE_REQUEST_TIMEOUT", default_value = "30", value_name = "SECONDS", value_parser = seconds)]
    pub request_timeout: Duration,
    /// How long a client may read nothing of a response
    #[arg(long, env = "GARAGE_WRITE_TIMEOUT", default_value = "30", value_name = "SECONDS", value_parser = seconds)]
    pub write_timeout: Duration,
    /// Memory for large responses that clients have not read yet; more are answered with 503
    #[arg(long, env = "GARAGE_RESPONSE_MEMORY", default_value = "64", value_name = "MIB",
        value_parser = clap::value_parser!(u16).range(1..))]
    pub response_memory: u16,
}

fn number(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (1..=1_000_000).contains(number));
    number.ok_or_else(|| "it must be a number from 1 to 1000000".to_owned())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|seconds| (1..=86_400).contains(seconds));
    seconds.map(Duration::from_secs).ok_or_else(|| "it must be a number of seconds from 1 to 86400".to_owned())
}

fn network(text: &str) -> Result<IpNet, String> {
    let parsed = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    parsed.map_err(|_| "it is neither an address nor a network".to_owned())
}

/// What can be done with accounts. Passwords are read from standard input, so that no list of processes shows them.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Add an account; its password is asked for, or the first line of standard input
    Add {
        /// The account's email address
        email: String,
        /// The database.
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// List the accounts
    List {
        /// Answer as JSON
        #[arg(long)]
        json: bool,
        /// The database.
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// End an account's sessions and let nobody log in with it; its vehicles stay
    Disable {
        /// The account's email address
        email: String,
        /// The database.
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// Accept the logins of a disabled account again
    Enable {
        /// The account's email address
        email: String,
        /// The database.
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// Give an account a new password, asked for or the first line of standard input, and end its sessions; a disabled
    /// account stays disabled
    ResetPassword {
        /// The account's email address
        email: String,
        /// The database.
        #[command(flatten)]
        database: DatabaseArgs,
    },
}

impl DatabaseArgs {
    /// Where the data is.
    ///
    /// # Errors
    /// The setting names no database that this server can use, or the system has no folder for data.
    pub fn location(&self) -> anyhow::Result<Location> {
        const SETTING: &str = "--database (GARAGE_DATABASE)";
        let Some(url) = self.database.as_deref() else {
            return Ok(Location::Sqlite(data_folder().context(SETTING)?.join("server.db")));
        };
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            let config = postgres::config(url).with_context(|| format!("{SETTING} is no URL of PostgreSQL's"))?;
            return Ok(Location::Postgres(Box::new(config)));
        }
        match url.strip_prefix("sqlite:") {
            Some(path) if !path.is_empty() => Ok(Location::Sqlite(PathBuf::from(path))),
            _ => bail!(
                "{SETTING} must be sqlite:PATH or postgres://…, and begins with “{}”",
                url.split(':').next().unwrap_or_default()
            ),
        }
    }
}

impl KeyArgs {
    /// The keys' folder.
    ///
    /// # Errors
    /// The system has no folder for data.
    pub fn folder(&self) -> anyhow::Result<PathBuf> {
        match &self.keys {
            Some(folder) => Ok(folder.clone()),
            None => Ok(data_folder().context("--keys (GARAGE_KEYS)")?.join("keys")),
        }
    }
}

fn data_folder() -> anyhow::Result<PathBuf> {
    let folder = dirs::data_dir().context("this system names no folder for user data; set HOME, or name the place")?;
    Ok(folder.join("garage-server"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn a_setting_that_is_wrong_is_named() {
        for url in ["", "mysql://x", "sqlite:", "server.db", "postgres://x:y:z/"] {
            let refused = DatabaseArgs { database: Some(url.to_owned()) }.location().err().expect("refused");
            assert!(refused.to_string().contains("--database (GARAGE_DATABASE)"), "{refused}");
        }
        let location = |url: &str| DatabaseArgs { database: Some(url.to_owned()) }.location().expect("a database");
        assert_eq!(location("sqlite:/x/y.db").to_string(), "/x/y.db");
        let postgres = location("postgres://ada:secret@db.example.org/garage").to_string();
        assert_eq!(postgres, "PostgreSQL database garage on db.example.org");
    }
}
