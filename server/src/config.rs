//! What may be said on the command line or in the environment.

use std::{net::SocketAddr, path::PathBuf};

use anyhow::{Context, bail};
use clap::{Args as ClapArgs, Parser, Subcommand};

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
    Serve(ServeArgs),
    /// Bring the database's schema up to date, and end
    Migrate(DatabaseArgs),
    /// Add, list and disable accounts, and give them new passwords
    #[command(subcommand)]
    User(UserCommand),
    /// Make a new key that signs tokens from the next start on; older ones stay good
    RotateKeys(KeyArgs),
}

/// Where the data is.
#[derive(Debug, ClapArgs)]
pub struct DatabaseArgs {
    /// sqlite:PATH [default: a file in the user's data folder]
    #[arg(long, env = "GARAGE_DATABASE", value_name = "URL")]
    pub database: Option<String>,
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
    #[arg(long, env = "GARAGE_OPEN_REGISTRATION")]
    pub open_registration: bool,
    /// Log-ins a minute for one account
    #[arg(long, env = "GARAGE_RATE_LIMIT", default_value_t = 10, value_name = "NUMBER",
        value_parser = clap::value_parser!(u32).range(1..))]
    pub rate_limit: u32,
}

/// What can be done with accounts. Passwords are read from standard input, so that no list of processes shows them.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Add an account; its password is the first line of standard input
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
    /// Give an account a new password, the first line of standard input, and end its sessions
    ResetPassword {
        /// The account's email address
        email: String,
        /// The database.
        #[command(flatten)]
        database: DatabaseArgs,
    },
}

impl DatabaseArgs {
    /// The database's file.
    ///
    /// # Errors
    /// The setting names no database that this server can use, or the system has no folder for data.
    pub fn file(&self) -> anyhow::Result<PathBuf> {
        match self.database.as_deref() {
            None => Ok(data_folder().context("--database (GARAGE_DATABASE)")?.join("server.db")),
            Some(url) => match url.strip_prefix("sqlite:") {
                Some(path) if !path.is_empty() => Ok(PathBuf::from(path)),
                _ => bail!("--database (GARAGE_DATABASE) must be sqlite:PATH, and is “{url}”"),
            },
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
        for url in ["", "mysql://x", "sqlite:", "server.db"] {
            let refused = DatabaseArgs { database: Some(url.to_owned()) }.file().expect_err("refused");
            assert!(refused.to_string().contains("--database (GARAGE_DATABASE)"), "{refused}");
        }
        let file = DatabaseArgs { database: Some("sqlite:/x/y.db".to_owned()) }.file().expect("a file");
        assert_eq!(file, PathBuf::from("/x/y.db"));
    }
}
