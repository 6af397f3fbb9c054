//! A device that gets an access token from its session and sends it to the server: `e2e-device GARAGE-FILE MINUTES`.
//!
//! The device's clock is these minutes ahead, so that an access token has expired on it. It prints the status of the
//! server's response, or the error.

use std::path::PathBuf;

use garage_core::{
    ChangeListener, Environment, Garage, GarageConfig, GarageError, GivenSession, Program, SessionConfig, SessionError,
    Unencrypted,
};
use jiff::{SignedDuration, Timestamp};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut words = std::env::args().skip(1);
    let (garage_file, minutes) = (words.next().map(PathBuf::from), words.next());
    let (Some(garage_file), Some(Ok(minutes))) = (garage_file, minutes.map(|minutes| minutes.parse())) else {
        eprintln!("usage: e2e-device GARAGE-FILE MINUTES");
        std::process::exit(2);
    };
    match status(garage_file, SignedDuration::from_mins(minutes)).await {
        Ok(status) => println!("{status}"),
        Err(error) => println!("{:?}: {error}", error.code()),
    }
}

/// As for the CLI.
fn given_session() -> Option<GivenSession> {
    let (server, token) = (std::env::var("GARAGE_SERVER").ok()?, std::env::var("GARAGE_TOKEN").ok()?);
    Some(GivenSession { server, token: token.into(), unencrypted: Unencrypted::Refuse })
}

async fn status(garage_file: PathBuf, ahead: SignedDuration) -> Result<u16, GarageError> {
    let system = GarageConfig::of_this_user(Program::Cli)?;
    let config = GarageConfig {
        garage_file,
        vpic_url: None,
        session: SessionConfig { given: given_session(), ..SessionConfig::default() },
        environment: Environment::new(move || Timestamp::now() + ahead, uuid::Uuid::now_v7),
        ..system
    };
    let garage = Garage::open(config, ChangeListener::none()).await?;
    let session = garage.session().await?;
    let token = session.access_token().await?;
    let request = session.http().request(reqwest::Method::GET, &format!("{}/api/auth/me", session.server()));
    let sent = session.http().send(request.header(reqwest::header::AUTHORIZATION, token.header()), 64 * 1024).await;
    let unreachable = |source| SessionError::Unreachable { server: session.server().to_owned(), source };
    let status = sent.map_err(unreachable)?.status.as_u16();
    garage.close().await;
    Ok(status)
}
