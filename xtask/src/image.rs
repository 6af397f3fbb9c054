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
/// Not in any `/etc/passwd`, so that it is no user of a host either.
const USER: &str = "65532:65532";
const DATA: &str = "var/lib/garage";
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
    // Flags of the target are not for build scripts and macros, which load libraries.
    let mut build = shell::cargo(&["build", "--profile", "server", "--package", "garage-server", "--target", TARGET]);
    build.env("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS", "-C target-feature=+crt-static");
    shell::run(build)?;
    let folder = target.join("image");
    let _ = fs::remove_dir_all(&folder);
    let files = folder.join("files");
    stage(root, &files, &target.join(TARGET).join("server/garage-server"))?;
    let archive = folder.join("motovault-server.oci.tar");
    build_image(&folder, &files, &archive)?;
    let (compressed, unpacked) = (fs::metadata(&archive)?.len(), size(&files)?);
    println!("{}: {:.1} MB, {:.1} MB unpacked", archive.display(), compressed as f64 / 1e6, unpacked as f64 / 1e6);
    let durations = (0..STARTS).map(|_| start(&files)).collect::<anyhow::Result<Vec<_>>>()?;
    let milliseconds: Vec<String> = durations.iter().map(|it| format!("{:.0}", it.as_secs_f64() * 1e3)).collect();
    println!("From the start to the first response, on a new database: {} ms", milliseconds.join(", "));
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
    fs::create_dir_all(files.join(DATA))?;
    fs::set_permissions(files.join(DATA), fs::Permissions::from_mode(0o700))?;
    Ok(())
}

fn build_image(folder: &Path, files: &Path, archive: &Path) -> anyhow::Result<()> {
    let buildah = |words: &[&str]| {
        let mut buildah = Command::new("buildah");
        // The storage of this image alone; without overlays, which need a kernel that allows them.
        buildah.arg("--root").arg(folder.join("storage")).arg("--runroot").arg(folder.join("run"));
        buildah.args(["--storage-driver", "vfs"]).args(words);
        buildah
    };
    let container = shell::output(buildah(&["from", "scratch"]))?;
    let text = |path: &Path| path.display().to_string();
    shell::output(buildah(&["copy", "--chown", "0:0", &container, &text(files), "/"]))?;
    let data = files.join(DATA);
    shell::output(buildah(&["copy", "--chown", USER, &container, &text(&data), &format!("/{DATA}")]))?;
    let mut config = buildah(&["config", "--user", USER, "--port", "8080", "--volume", &format!("/{DATA}")]);
    config.args(["--entrypoint", r#"["garage-server"]"#, "--cmd", "serve", "--workingdir", "/"]);
    config.args(["--label", "org.opencontainers.image.title=MotoVault server"]);
    config.args(["--label", "org.opencontainers.image.licenses=MIT OR Apache-2.0"]);
    for setting in SETTINGS {
        config.args(["--env", setting]);
    }
    config.arg(&container);
    shell::output(config)?;
    let image = "motovault-server:latest";
    shell::output(buildah(&["commit", "--format", "oci", "--rm", &container, image]))?;
    let target = format!("oci-archive:{}:{image}", archive.display());
    let compression = ["push", "--compression-format", "zstd", "--compression-level", "19", image, &target];
    shell::output(buildah(&compression))?;
    Ok(())
}

fn size(folder: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        bytes += if entry.file_type()?.is_dir() { size(&entry.path())? } else { entry.metadata()?.len() };
    }
    Ok(bytes)
}

/// A server whose root folder is that of the image, where its user can write only to the folder of data.
struct Started {
    process: Child,
    data: PathBuf,
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.data);
    }
}

/// How long the program of the image takes from its start to its first response.
fn start(files: &Path) -> anyhow::Result<Duration> {
    let data = files.join(DATA);
    let _ = fs::remove_dir_all(&data);
    fs::create_dir_all(&data)?;
    let mut own = Command::new("chown");
    own.arg(USER).arg(&data);
    shell::output(own).context("root is needed to start the image's program as its user")?;
    let mut command = Command::new("chroot");
    command.args([&format!("--userspec={USER}"), &files.display().to_string(), "/usr/bin/garage-server", "serve"]);
    command.env_clear().envs(SETTINGS.iter().filter_map(|setting| setting.split_once('=')));
    command.env("GARAGE_LISTEN", "127.0.0.1:0").env("GARAGE_LOG", "error");
    let started = Instant::now();
    let process = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let mut server = Started { process, data };
    let mut url = String::new();
    BufReader::new(server.process.stdout.take().context("no output")?).read_line(&mut url)?;
    let address = url.trim().strip_prefix("http://").context("the server did not start")?.to_owned();
    while started.elapsed() < LONGEST_START {
        let mut connection = TcpStream::connect(&address)?;
        write!(connection, "GET /api/health HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
        let mut response = String::new();
        connection.read_to_string(&mut response)?;
        if response.starts_with("HTTP/1.1 200") {
            return Ok(started.elapsed());
        }
    }
    anyhow::bail!("the server did not become healthy within {} s", LONGEST_START.as_secs())
}
