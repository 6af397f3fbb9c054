//! The program `garage-server`: parses the command line and runs the command.

use std::{
    io::{BufRead, IsTerminal},
    process::ExitCode,
    time::Duration,
};

use anyhow::Context;
use clap::Parser;
use garage_server::{
    auth,
    config::{Args, Command, DatabaseArgs, FileArgs, UserCommand},
    log,
    serve::serve,
    store::Store,
};
use jiff::SignedDuration;

/// Longer than a server takes to find out that its database does not respond.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    let args = Args::parse();
    // Until the end of `main`: dropping it writes the rest of the log.
    let _log = log::start();
    match run(args.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Serve(args) => serve(*args).await,
        Command::Migrate(database) => {
            let location = database.location()?;
            Store::open(&location).await?.close().await;
            println!("{location} is up to date");
            Ok(())
        }
        Command::Backup(FileArgs { file, database }) => {
            let location = database.location()?;
            Store::open(&location).await?.back_up(&file).await?;
            println!("{location} is backed up to {}", file.display());
            Ok(())
        }
        Command::Restore(FileArgs { file, database }) => {
            let location = database.location()?;
            let saved_as = Store::open(&location).await?.restore(&location, &file).await?;
            println!("{location} is restored from {}", file.display());
            println!("What it was before is {}", saved_as.display());
            Ok(())
        }
        Command::NewEpoch { database, keys } => {
            let location = database.location()?;
            let store = Store::open(&location).await?;
            store.begin_epoch(&keys.folder()?).await?;
            store.close().await;
            println!("{location} has a new epoch");
            Ok(())
        }
        Command::Health { url } => {
            println!("{}", ask_health(&url).await?);
            Ok(())
        }
        Command::User(command) => manage_accounts(command).await,
        Command::Openapi => {
            println!("{}", garage_server::openapi().to_pretty_json()?);
            Ok(())
        }
        Command::RotateKeys(keys) => {
            println!("{}", auth::rotate_keys(&keys.folder()?)?.display());
            Ok(())
        }
        Command::RetireKeys { older_than, keys } => {
            let age = SignedDuration::from_hours(24 * i64::from(older_than));
            for path in auth::retire_keys(&keys.folder()?, age)? {
                println!("{}", path.display());
            }
            Ok(())
        }
    }
}

/// The body of a server's positive response to a health request.
async fn ask_health(url: &str) -> anyhow::Result<String> {
    let client = reqwest::Client::builder().timeout(HEALTH_TIMEOUT).no_proxy().build()?;
    let response = client.get(format!("{}/api/health", url.trim_end_matches('/'))).send().await;
    let response = response.with_context(|| format!("{url} does not respond"))?;
    let status = response.status();
    let body = response.text().await.with_context(|| format!("{url} does not respond"))?;
    anyhow::ensure!(status == reqwest::StatusCode::OK, "{url} responds {status}: {body}");
    Ok(body)
}

async fn manage_accounts(command: UserCommand) -> anyhow::Result<()> {
    let open = async |database: &DatabaseArgs| Store::open(&database.location()?).await;
    match command {
        UserCommand::Add { email, database } => {
            let account = auth::add_account(&open(&database).await?, &email, &read_password()?).await?;
            println!("{} is added", account.email);
        }
        UserCommand::List { json, database } => {
            let accounts = auth::list_accounts(&open(&database).await?).await?;
            if json {
                println!("{}", serde_json::to_string_pretty(&accounts)?);
            } else {
                for account in accounts {
                    let state = if account.disabled_at.is_some() { "disabled" } else { "active" };
                    println!("{}  {state}  since {}", account.email, account.created_at);
                }
            }
        }
        UserCommand::Disable { email, database } => {
            auth::disable_account(&open(&database).await?, &email).await?;
            println!("{email} is disabled");
        }
        UserCommand::Enable { email, database } => {
            auth::enable_account(&open(&database).await?, &email).await?;
            println!("{email} is enabled");
        }
        UserCommand::ResetPassword { email, database } => {
            auth::set_password(&open(&database).await?, &email, &read_password()?).await?;
            println!("{email} has a new password");
        }
    }
    Ok(())
}

/// Prompts for a password twice, without echo. Reads the first line of standard input if it is not a terminal.
fn read_password() -> anyhow::Result<String> {
    if std::io::stdin().is_terminal() {
        let password = rpassword::prompt_password("Password: ").context("the password cannot be read")?;
        let again = rpassword::prompt_password("Repeat the password: ").context("the password cannot be read")?;
        anyhow::ensure!(password == again, "the passwords are different");
        return Ok(password);
    }
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).context("the password cannot be read")?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
