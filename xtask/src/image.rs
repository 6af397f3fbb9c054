//! `cargo xtask image`: the container image of the server, made with buildah, which needs no Docker engine. It is `FROM
//! scratch`: a static program, the vPIC data, licenses, and a folder for data, which belongs to a user that is not root.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};

use crate::{
    run,
    setup::{packages, snapshot},
    shell,
};

const TARGET: &str = "x86_64-unknown-linux-gnu";
const FLAGS: &str = r#"-C target-feature=+crt-static --cfg getrandom_backend="linux_getrandom""#;
/// Not in any `/etc/passwd`, so that it is no user of a host either.
const USER: &str = "65532:65532";
const DATA: &str = "var/lib/garage";
const IMAGE: &str = "motovault-server:latest";
const SNAPSHOT: &str = "usr/share/garage/vpic.rkyv";
const SETTINGS: [&str; 6] = [
    "PATH=/usr/bin",
    "GARAGE_VPIC_FILE=/usr/share/garage/vpic.rkyv",
    "GARAGE_DATABASE=sqlite:/var/lib/garage/server.db",
    "GARAGE_KEYS=/var/lib/garage/keys",
    "GARAGE_LISTEN=0.0.0.0:8080",
    // For `garage-server health`.
    "GARAGE_URL=http://127.0.0.1:8080",
];
const MAX_COMPRESSED_BYTES: u64 = 28_000_000;
const MAX_UNPACKED_BYTES: u64 = 110_000_000;
const STARTS: usize = 5;
const LONGEST_START: Duration = Duration::from_secs(10);

/// Builds the image, writes it to a file, and prints its sizes and how long it takes to start.
pub fn image(root: &Path) -> anyhow::Result<()> {
    packages::install(&[packages::BUILD, packages::FETCH, packages::IMAGE])?;
    snapshot::fetch()?;
    let target = run::target_folder(root);
    // A static program cannot look up `getrandom` by name, and without the flag reads /dev/urandom instead, which not every
    // container has. Flags of the target are not for build scripts and macros, which load libraries.
    let mut build = shell::cargo(&["build", "--profile", "server", "--package", "garage-server", "--target", TARGET]);
    build.env("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS", FLAGS);
    shell::run(build)?;
    let folder = target.join("image");
    let _ = fs::remove_dir_all(&folder);
    let files = folder.join("files");
    stage(root, &files, &target.join(TARGET).join("server/garage-server"))?;
    let storage = Storage { folder };
    let archive = storage.folder.join("motovault-server.oci.tar");
    storage.build(&files, &archive)?;
    let unpacked_image = storage.unpacked()?;
    let (compressed, unpacked) = (fs::metadata(&archive)?.len(), size(&unpacked_image)?);
    println!("{}: {:.1} MB, {:.1} MB unpacked", archive.display(), compressed as f64 / 1e6, unpacked as f64 / 1e6);
    storage.check()?;
    let durations = (0..STARTS).map(|_| start(&unpacked_image)).collect::<anyhow::Result<Vec<_>>>()?;
    let milliseconds: Vec<String> = durations.iter().map(|it| format!("{:.0}", it.as_secs_f64() * 1e3)).collect();
    println!(
        "From the start to the first response, on a new database, with a warm page cache: {} ms",
        milliseconds.join(", ")
    );
    ensure!(compressed <= MAX_COMPRESSED_BYTES, "the image is larger than {MAX_COMPRESSED_BYTES} bytes");
    ensure!(unpacked <= MAX_UNPACKED_BYTES, "the unpacked image is larger than {MAX_UNPACKED_BYTES} bytes");
    Ok(())
}

/// The files of the image.
fn stage(root: &Path, files: &Path, program: &Path) -> anyhow::Result<()> {
    let licenses = "usr/share/licenses/motovault";
    for (source, name, mode) in [
        (program.to_owned(), "usr/bin/garage-server", 0o755),
        (snapshot::cached_path()?, SNAPSHOT, 0o644),
        (root.join("LICENSE-MIT"), &format!("{licenses}/LICENSE-MIT"), 0o644),
        (root.join("LICENSE-APACHE"), &format!("{licenses}/LICENSE-APACHE"), 0o644),
    ] {
        let path = files.join(name);
        fs::create_dir_all(path.parent().context("a parent folder")?)?;
        fs::copy(source, &path).with_context(|| format!("cannot stage {name}"))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
    }
    fs::create_dir_all(files.join(DATA).parent().context("a parent folder")?)?;
    Ok(())
}

/// buildah's storage for this image alone.
struct Storage {
    folder: PathBuf,
}

impl Storage {
    fn buildah(&self, words: &[&str]) -> anyhow::Result<String> {
        let mut buildah = Command::new("buildah");
        buildah.arg("--root").arg(self.folder.join("storage")).arg("--runroot").arg(self.folder.join("run"));
        // Overlays need a kernel that allows them.
        buildah.args(["--storage-driver", "vfs"]).args(words);
        shell::output(buildah)
    }

    fn build(&self, files: &Path, archive: &Path) -> anyhow::Result<()> {
        let container = self.buildah(&["from", "scratch"])?;
        let empty = self.folder.join("empty");
        fs::create_dir_all(&empty)?;
        // The files contain the folder's parent: buildah sets the owner of each folder that it creates.
        for (source, owner, destination) in [(files, "0:0", "/"), (&*empty, USER, &*format!("/{DATA}"))] {
            self.buildah(&["copy", "--chown", owner, &container, &source.display().to_string(), destination])?;
        }
        let volume = format!("/{DATA}");
        let mut config = vec!["config", "--user", USER, "--port", "8080", "--volume", &volume, "--workingdir", "/"];
        config.extend(["--entrypoint", r#"["garage-server"]"#, "--cmd", "serve"]);
        config.extend(["--label", "org.opencontainers.image.title=MotoVault server"]);
        config.extend(["--label", "org.opencontainers.image.licenses=MIT OR Apache-2.0"]);
        config.extend(SETTINGS.iter().flat_map(|setting| ["--env", setting]));
        config.push(&container);
        self.buildah(&config)?;
        self.buildah(&["commit", "--format", "oci", "--rm", &container, IMAGE])?;
        let target = format!("oci-archive:{}:{IMAGE}", archive.display());
        self.buildah(&["push", "--compression-format", "zstd", "--compression-level", "19", IMAGE, &target])?;
        Ok(())
    }

    /// Checks what the image says about its process.
    fn check(&self) -> anyhow::Result<()> {
        let format = "{{.OCIv1.Config.User}} {{.OCIv1.Config.Entrypoint}} {{.OCIv1.Config.Cmd}}";
        let config = self.buildah(&["inspect", "--type", "image", "--format", format, IMAGE])?;
        ensure!(config == format!("{USER} [garage-server] [serve]"), "the image has the configuration {config}");
        Ok(())
    }

    /// The root folder of a container of the image.
    fn unpacked(&self) -> anyhow::Result<PathBuf> {
        let container = self.buildah(&["from", "--pull-never", IMAGE])?;
        Ok(PathBuf::from(self.buildah(&["mount", &container])?))
    }
}

fn size(folder: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        bytes += if entry.file_type()?.is_dir() { size(&entry.path())? } else { entry.metadata()?.len() };
    }
    Ok(bytes)
}

struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A command of the image's program, as its user and with its settings.
fn in_image(image: &Path, word: &str) -> Command {
    // By its path: the environment is that of the image.
    let mut command = Command::new("/usr/sbin/chroot");
    command.args([&format!("--userspec={USER}"), &image.display().to_string(), "/usr/bin/garage-server", word]);
    command.env_clear().envs(SETTINGS.iter().filter_map(|setting| setting.split_once('=')));
    command
}

/// How long the program of the image takes from its start to its first response, as the image's user.
fn start(image: &Path) -> anyhow::Result<Duration> {
    for entry in fs::read_dir(image.join(DATA))? {
        let path = entry?.path();
        if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }?;
    }
    let mut command = in_image(image, "serve");
    command.env("GARAGE_LISTEN", "127.0.0.1:0").env("GARAGE_LOG", "error");
    let started = Instant::now();
    let process = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("cannot start chroot")?;
    let mut server = Started(process);
    let mut url = String::new();
    BufReader::new(server.0.stdout.take().context("no output")?).read_line(&mut url)?;
    let address = url.trim().strip_prefix("http://").context("the server did not start")?.to_owned();
    while started.elapsed() < LONGEST_START {
        let mut connection = TcpStream::connect(&address)?;
        write!(connection, "GET /api/health HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
        let mut response = String::new();
        connection.read_to_string(&mut response)?;
        if response.starts_with("HTTP/1.1 200") {
            let duration = started.elapsed();
            let mut health = in_image(image, "health");
            health.env("GARAGE_URL", url.trim());
            shell::output(health).context("the image's health check fails")?;
            return Ok(duration);
        }
    }
    anyhow::bail!("the server did not become healthy within {} s", LONGEST_START.as_secs())
}
