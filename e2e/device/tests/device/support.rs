//! A server, a session bus with a key store, and the programs of a device, as processes.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use serde_json::Value;

pub const EMAIL: &str = "ada@example.org";
pub const PASSWORD: &str = "correct horse battery";

/// A program of this workspace, beside the device that the tests start.
fn program(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_e2e-device"))
        .with_file_name(name)
        .with_extension(std::env::consts::EXE_EXTENSION);
    assert!(path.exists(), "{} is missing: cargo build -p garage-cli -p garage-server", path.display());
    path
}

/// A process that is killed on drop.
struct Running(Child);

impl Running {
    /// Starts a process and returns the first line that it prints.
    fn start(command: &mut Command) -> (Running, String) {
        let mut running = Running(command.stdout(Stdio::piped()).spawn().expect("it starts"));
        let mut line = String::new();
        let output = running.0.stdout.take().expect("an output");
        BufReader::new(output).read_line(&mut line).expect("a line");
        (running, line.trim().to_owned())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The server with a database of its own and open registration.
pub struct Server {
    process: Option<Running>,
    pub url: String,
    folder: tempfile::TempDir,
}

impl Server {
    pub fn start() -> Server {
        let mut server =
            Server { process: None, url: "127.0.0.1:0".to_owned(), folder: tempfile::tempdir().expect("a folder") };
        server.start_again();
        server
    }

    /// Starts the server at its address after [`Server::stop`].
    pub fn start_again(&mut self) {
        let folder = self.folder.path();
        let mut command = Command::new(program("garage-server"));
        command.args(["serve", "--open-registration", "--rate-limit", "1000", "--listen"]);
        command.arg(self.url.trim_start_matches("http://")).stderr(Stdio::null()).stdin(Stdio::null());
        command.env("GARAGE_DATABASE", format!("sqlite:{}", folder.join("server.db").display()));
        command.env("GARAGE_KEYS", folder.join("keys"));
        let (process, url) = Running::start(&mut command);
        assert!(url.starts_with("http://"), "the server does not start: {url}");
        self.process = Some(process);
        self.url = url;
    }

    pub fn stop(&mut self) {
        self.process = None;
    }

    /// Logs in, and returns an access token.
    pub fn access_token(&self) -> String {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let body = format!(r#"{{"email":"{EMAIL}","password":"{PASSWORD}"}}"#);
        let request = reqwest::Client::new().post(format!("{}/api/auth/login", self.url)).body(body);
        let request = request.header("content-type", "application/json");
        let answer = runtime.block_on(async { request.send().await.expect("an answer").text().await.expect("a text") });
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        answer["accessToken"].as_str().expect("a token").to_owned()
    }

    /// Disables an account, which ends its sessions.
    pub fn disable(&self, email: &str) {
        let mut command = Command::new(program("garage-server"));
        command.args(["user", "disable", email]);
        command.env("GARAGE_DATABASE", format!("sqlite:{}", self.folder.path().join("server.db").display()));
        assert!(command.output().expect("it runs").status.success());
    }
}

/// A session bus. With [`Bus::with_key_store`], GNOME's keyring is on it, unlocked.
pub struct Bus {
    address: String,
    _key_store: Option<Running>,
    _bus: Running,
    /// The home folder of the keyring, which encrypts its file.
    _home: tempfile::TempDir,
}

impl Bus {
    /// A bus without a key store.
    pub fn empty() -> Bus {
        let home = tempfile::tempdir().expect("a folder");
        // The standard configuration would start a key store on demand.
        let configuration = home.path().join("bus.conf");
        let listen = format!("unix:dir={}", home.path().display());
        let text = format!(
            "<busconfig><type>session</type><listen>{listen}</listen><policy context=\"default\">\
             <allow send_destination=\"*\" eavesdrop=\"true\"/><allow eavesdrop=\"true\"/><allow own=\"*\"/></policy></busconfig>"
        );
        std::fs::write(&configuration, text).expect("written");
        let mut command = Command::new("dbus-daemon");
        command.arg("--config-file").arg(&configuration).args(["--nofork", "--print-address"]);
        let (bus, address) = Running::start(&mut command);
        Bus { address, _key_store: None, _bus: bus, _home: home }
    }

    pub fn with_key_store() -> Bus {
        let mut bus = Bus::empty();
        let mut command = Command::new("gnome-keyring-daemon");
        command.args(["--foreground", "--unlock", "--components=secrets"]);
        command.env("DBUS_SESSION_BUS_ADDRESS", &bus.address);
        for variable in ["HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR"] {
            command.env(variable, bus._home.path());
        }
        command.stdin(Stdio::piped()).stderr(Stdio::null());
        let mut daemon = command.stdout(Stdio::null()).spawn().expect("gnome-keyring-daemon starts");
        // The password of the new keyring, to the end of the input.
        daemon.stdin.take().expect("an input").write_all(b"a password").expect("written");
        bus._key_store = Some(Running(daemon));
        bus.wait_for_key_store();
        bus
    }

    fn send(&self, words: &[&str]) -> Output {
        let mut command = Command::new("dbus-send");
        command.arg("--print-reply").arg(format!("--bus={}", self.address)).args(words);
        command.output().expect("dbus-send runs")
    }

    /// Waits until the bus knows the key store.
    fn wait_for_key_store(&self) {
        let is_there = || {
            let words = ["org.freedesktop.DBus.NameHasOwner", "string:org.freedesktop.secrets"];
            let answer = self.send(&[&["--dest=org.freedesktop.DBus", "/org/freedesktop/DBus"], &words[..]].concat());
            String::from_utf8_lossy(&answer.stdout).contains("true")
        };
        for _ in 0..1_000 {
            if is_there() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("gnome-keyring-daemon does not start");
    }

    /// The number of MotoVault's entries in the key store.
    pub fn entries(&self) -> usize {
        let method = "org.freedesktop.Secret.Service.SearchItems";
        let destination = ["--dest=org.freedesktop.secrets", "/org/freedesktop/secrets", method];
        let answer = self.send(&[&destination[..], &["dict:string:string:service,MotoVault"]].concat());
        let answer = String::from_utf8(answer.stdout).expect("UTF-8");
        answer.matches("object path").count()
    }
}

/// A device: a folder with a garage, and a bus.
pub struct Device<'a> {
    pub folder: tempfile::TempDir,
    bus: &'a Bus,
}

impl<'a> Device<'a> {
    pub fn new(bus: &'a Bus) -> Device<'a> {
        Device { folder: tempfile::tempdir().expect("a folder"), bus }
    }

    pub fn garage_file(&self) -> PathBuf {
        self.folder.path().join("garage.db")
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env("DBUS_SESSION_BUS_ADDRESS", &self.bus.address).env("GARAGE_FILE", self.garage_file());
        for variable in ["GARAGE_SERVER", "GARAGE_TOKEN", "GARAGE_ALLOW_UNENCRYPTED"] {
            command.env_remove(variable);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs `garage` with an input, and returns its exit code, output and errors.
    pub fn garage(&self, words: &[&str], input: &str) -> (i32, String, String) {
        let mut child = self.command(&program("garage")).args(words).spawn().expect("it starts");
        child.stdin.take().expect("an input").write_all(input.as_bytes()).expect("written");
        read(&child.wait_with_output().expect("it ends"))
    }

    /// Runs a `garage` command with `--json` that must succeed.
    pub fn json(&self, words: &[&str], input: &str) -> Value {
        let (code, stdout, stderr) = self.garage(&[words, &["--json"]].concat(), input);
        assert_eq!((code, stderr.as_str()), (0, ""), "{words:?}");
        serde_json::from_str(&stdout).expect("JSON")
    }

    /// Starts `garage`, which is killed when this is dropped.
    pub fn start_garage(&self, words: &[&str]) -> impl Drop + use<> {
        let mut command = self.command(&program("garage"));
        command.args(words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Running(command.spawn().expect("it starts"))
    }

    /// Starts `garage` and kills it after a while. Returns whether it has ended well before.
    pub fn killed_after(&self, words: &[&str], delay: Duration) -> bool {
        let mut child = self.command(&program("garage")).args(words).spawn().expect("it starts");
        std::thread::sleep(delay);
        child.kill().expect("killed");
        child.wait().expect("it ends").success()
    }

    pub fn sign_up(&self, server: &Server) {
        let words = ["sign-up", &server.url, "--email", EMAIL, "--password-stdin"];
        let (code, _, stderr) = self.garage(&words, PASSWORD);
        assert_eq!((code, stderr.as_str()), (0, ""));
    }

    /// Starts a process that gets an access token, with a clock that is ahead, and sends it to the server.
    pub fn start(&self, minutes_ahead: u32) -> Child {
        let mut command = self.command(Path::new(env!("CARGO_BIN_EXE_e2e-device")));
        command.arg(self.garage_file()).arg(minutes_ahead.to_string()).spawn().expect("it starts")
    }

    /// Like [`Device::access`], with a given session.
    pub fn access_with_token(&self, server: &str, token: &str) -> String {
        let mut command = self.command(Path::new(env!("CARGO_BIN_EXE_e2e-device")));
        command.arg(self.garage_file()).arg("0").env("GARAGE_SERVER", server).env("GARAGE_TOKEN", token);
        output(command.spawn().expect("it starts"))
    }

    /// What such a process prints: the status of the server's response, or an error.
    pub fn access(&self, minutes_ahead: u32) -> String {
        output(self.start(minutes_ahead))
    }

    /// The content of all files of the device.
    pub fn bytes(&self) -> Vec<u8> {
        let files = std::fs::read_dir(self.folder.path()).expect("a folder");
        let paths = files.map(|file| file.expect("a file").path()).filter(|path| path.is_file());
        paths.flat_map(|path| std::fs::read(path).expect("read")).collect()
    }
}

/// What a process prints until it ends.
pub fn output(process: Child) -> String {
    let (code, stdout, stderr) = read(&process.wait_with_output().expect("it ends"));
    assert_eq!((code, stderr.as_str()), (0, ""));
    stdout.trim().to_owned()
}

fn read(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_owned()).expect("UTF-8");
    (output.status.code().expect("it was not killed"), text(&output.stdout), text(&output.stderr))
}
