//! `garage sign-up`, `sign-in` and `sign-out`.

use std::{io, path::PathBuf, process::ExitCode};

use garage_core::{ExposeSecret, SecretString, SignedIn, Unencrypted};
use serde_json::json;

use crate::{
    args::SignInArgs,
    failure::Failure,
    garage::{Missing, with_garage},
    table::{print_json, printable},
};

pub async fn sign_up(garage_file: Option<PathBuf>, args: SignInArgs) -> Result<ExitCode, Failure> {
    let password = if args.password_stdin { password_of_input()? } else { new_password()? };
    let unencrypted = unencrypted(&args);
    let signed_in = with_garage(garage_file, Missing::IsMade, async |garage| {
        Ok(garage.sign_up(&args.server, &args.email, &password, unencrypted).await?)
    })
    .await?;
    report("Signed up at", &signed_in, args.output.json)
}

pub async fn sign_in(garage_file: Option<PathBuf>, args: SignInArgs) -> Result<ExitCode, Failure> {
    let password = if args.password_stdin { password_of_input()? } else { ask("Password: ")? };
    let unencrypted = unencrypted(&args);
    let signed_in = with_garage(garage_file, Missing::IsMade, async |garage| {
        Ok(garage.sign_in(&args.server, &args.email, &password, unencrypted).await?)
    })
    .await?;
    report("Signed in to", &signed_in, args.output.json)
}

pub async fn sign_out(garage_file: Option<PathBuf>, json: bool) -> Result<ExitCode, Failure> {
    let done = with_garage(garage_file, Missing::IsRefused, async |garage| Ok(garage.sign_out().await?)).await?;
    let server = done.remote.as_ref().map(|remote| printable(&remote.server));
    if json {
        print_json(&json!({
            "server": done.remote.as_ref().map(|remote| &remote.server),
            "wasSignedIn": done.was_signed_in,
            "isEndedOnServer": done.is_ended_on_server,
        }))?;
    } else if let Some(server) = server.filter(|_| done.was_signed_in) {
        println!("Signed out of {server}");
        if !done.is_ended_on_server {
            println!("The server was not reached. There the session ends by itself, 60 days after it was last used");
        }
    } else {
        println!("This garage was not signed in");
    }
    Ok(ExitCode::SUCCESS)
}

fn report(done: &str, signed_in: &SignedIn, json: bool) -> Result<ExitCode, Failure> {
    let SignedIn { server, account, email } = signed_in;
    if json {
        print_json(&json!({ "server": server, "account": account, "email": email }))?;
    } else {
        let name = email.as_ref().unwrap_or(account);
        println!("{done} {} as {}", printable(server), printable(name));
    }
    Ok(ExitCode::SUCCESS)
}

fn unencrypted(args: &SignInArgs) -> Unencrypted {
    if args.connection.allow_unencrypted { Unencrypted::Allow } else { Unencrypted::Refuse }
}

/// The first line of standard input.
fn password_of_input() -> Result<SecretString, Failure> {
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).into())
}

/// Asks twice, because a typing error would lock the user out.
fn new_password() -> Result<SecretString, Failure> {
    let password = ask("Password: ")?;
    let again = ask("Repeat the password: ")?;
    if password.expose_secret() == again.expose_secret() {
        Ok(password)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "The two passwords are different").into())
    }
}

/// Reads a line from the terminal without echo.
fn ask(prompt: &str) -> Result<SecretString, Failure> {
    let no_terminal = |error: io::Error| {
        let message = format!("The password cannot be read from a terminal ({error}); use --password-stdin");
        io::Error::new(error.kind(), message)
    };
    Ok(rpassword::prompt_password(prompt).map_err(no_terminal)?.into())
}
