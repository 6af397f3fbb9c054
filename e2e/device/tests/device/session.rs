//! Signing in with the real programs: the CLI, the server, and GNOME's keyring on a session bus of its own.

use crate::support::{Bus, Device, EMAIL, PASSWORD, Server, output};

#[test]
fn sign_up_in_and_out() {
    let (server, bus) = (Server::start(), Bus::with_key_store());
    let device = Device::new(&bus);
    let words = ["sign-up", &server.url, "--email", " Ada@Example.org", "--password-stdin"];
    let signed_up = device.json(&words, &format!("{PASSWORD}\n"));
    assert_eq!(signed_up["email"], EMAIL);
    assert_eq!(signed_up["server"], server.url.as_str());
    assert_eq!((bus.entries(), device.access(0).as_str()), (1, "200"));

    let signed_out = device.json(&["sign-out"], "");
    assert_eq!((&signed_out["wasSignedIn"], &signed_out["isEndedOnServer"]), (&true.into(), &true.into()));
    assert_eq!(bus.entries(), 0);
    assert!(device.access(0).starts_with("SignedOut"));
    assert_eq!(device.json(&["sign-out"], "")["wasSignedIn"], false);

    let words = ["sign-in", &server.url, "--email", EMAIL, "--password-stdin"];
    let signed_in = device.json(&words, PASSWORD);
    assert_eq!(signed_in, signed_up);
    assert_eq!((bus.entries(), device.access(0).as_str()), (1, "200"));
}

#[test]
fn eight_processes_refresh_one_session_at_once() {
    let (server, bus) = (Server::start(), Bus::with_key_store());
    let device = Device::new(&bus);
    device.sign_up(&server);
    // Each round finds the token of the previous one expired.
    for minutes in [20, 40, 60] {
        let processes: Vec<_> = (0..8).map(|_| device.start(minutes)).collect();
        let answers: Vec<String> = processes.into_iter().map(output).collect();
        assert_eq!(answers, ["200"; 8]);
    }
}

#[test]
fn a_session_survives_a_server_that_is_away_and_ends_with_its_account() {
    let (mut server, bus) = (Server::start(), Bus::with_key_store());
    let device = Device::new(&bus);
    device.sign_up(&server);
    server.stop();
    let answer = device.access(20);
    assert!(answer.starts_with("ServerAway"), "{answer}");
    assert_eq!(bus.entries(), 1);
    server.start_again();
    assert_eq!(device.access(20), "200");
    server.disable(EMAIL);
    let answer = device.access(40);
    assert!(answer.starts_with("SignedOut: The session has ended"), "{answer}");
    assert_eq!(bus.entries(), 0);
}

#[test]
fn signing_out_without_the_server_deletes_the_session_and_says_so() {
    let (mut server, bus) = (Server::start(), Bus::with_key_store());
    let device = Device::new(&bus);
    device.sign_up(&server);
    server.stop();
    let (code, stdout, stderr) = device.garage(&["sign-out"], "");
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert!(stdout.contains("The server was not reached"), "{stdout}");
    assert_eq!(bus.entries(), 0);
}

#[test]
fn another_account_and_another_server_are_refused() {
    let (server, other, bus) = (Server::start(), Server::start(), Bus::with_key_store());
    let device = Device::new(&bus);
    device.sign_up(&server);
    Device::new(&bus).json(&["sign-up", &server.url, "--email", "bob@example.org", "--password-stdin"], PASSWORD);
    let entries = bus.entries();
    for words in [
        ["sign-in", &server.url, "--email", "bob@example.org"],
        ["sign-up", &server.url, "--email", "eve@example.org"],
        ["sign-in", &other.url, "--email", EMAIL],
    ] {
        let (code, _, stderr) = device.garage(&[&words[..], &["--password-stdin"]].concat(), PASSWORD);
        assert_eq!(code, 1);
        let expected = format!("error: This garage belongs to another account, {EMAIL} on {}", server.url);
        assert!(stderr.starts_with(&expected), "{stderr}");
    }
    assert_eq!((bus.entries(), device.access(0).as_str()), (entries, "200"));
}

#[test]
fn refusals_of_the_server_are_explained() {
    let (server, bus) = (Server::start(), Bus::with_key_store());
    let device = Device::new(&bus);
    device.sign_up(&server);
    device.json(&["sign-out"], "");
    let other = Device::new(&bus);
    for (command, email, password, expected) in [
        ("sign-in", EMAIL, "wrong password", "error: Wrong email or password\n"),
        ("sign-up", EMAIL, PASSWORD, "error: An account with this email already exists; sign in to it\n"),
        (
            "sign-up",
            "nobody",
            "short",
            "error: email must be an email address\nerror: password must be at least 10 characters\n",
        ),
    ] {
        let words = [command, &server.url, "--email", email, "--password-stdin"];
        assert_eq!(other.garage(&words, password), (1, String::new(), expected.to_owned()));
    }
    assert_eq!(bus.entries(), 0);
}

#[test]
fn without_a_key_store_the_password_is_not_sent_and_a_token_can_be_given() {
    let (server, bus) = (Server::start(), Bus::empty());
    let device = Device::new(&bus);
    let (code, _, stderr) = device.garage(&["sign-up", &server.url, "--email", EMAIL, "--password-stdin"], PASSWORD);
    assert_eq!(code, 1);
    assert!(stderr.starts_with("error: This system has no key store to keep the session in"), "{stderr}");
    assert!(stderr.contains("GARAGE_TOKEN"), "{stderr}");
    let with_key_store = Bus::with_key_store();
    // This would fail if the account existed.
    Device::new(&with_key_store).sign_up(&server);
    assert_eq!(device.access_with_token(&server.url, &server.access_token()), "200");
    let answer = device.access_with_token(&server.url, "expired");
    assert!(answer.starts_with("SignedOut: The server refused the access token"), "{answer}");
}

#[test]
fn no_password_and_no_token_is_in_a_file_or_in_the_output() {
    let (server, bus) = (Server::start(), Bus::with_key_store());
    let device = Device::new(&bus);
    let words = ["sign-up", &server.url, "--email", EMAIL, "--password-stdin"];
    let signed_up = device.garage(&words, PASSWORD);
    let signed_in = device.garage(&["sign-in", &server.url, "--email", EMAIL, "--password-stdin", "--json"], PASSWORD);
    assert_eq!((signed_up.0, signed_in.0, device.access(20).as_str()), (0, 0, "200"));
    let signed_out = device.garage(&["sign-out"], "");
    let printed = format!("{signed_up:?} {signed_in:?} {signed_out:?}");
    let written = device.bytes();
    assert!(contains(&written, EMAIL.as_bytes()), "the search finds what is there");
    // Every access token of the server begins with a JWT's header; a refresh token has 43 characters of base64url.
    for secret in [PASSWORD, "eyJ"] {
        assert!(!printed.contains(secret) && !contains(&written, secret.as_bytes()), "{secret}");
    }
    let is_of_token = |character: char| character.is_ascii_alphanumeric() || "-_".contains(character);
    let longest = printed.split(|character| !is_of_token(character)).map(str::len).max();
    assert!(longest.is_some_and(|longest| longest < 43), "{printed}");
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
