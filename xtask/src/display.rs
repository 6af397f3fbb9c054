//! A virtual display for machines without one.

use std::{
    io::Read,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::Context;

use crate::shell;

/// A running Xvfb server; dropping it stops the server.
pub struct VirtualDisplay {
    server: Child,
    pub name: String,
    /// The server's framebuffer file, in XWD format.
    pub framebuffer: PathBuf,
    _folder: tempfile::TempDir,
}

impl VirtualDisplay {
    /// Starts a display of `width` by `height` pixels with a free number.
    pub fn start(width: u32, height: u32) -> anyhow::Result<VirtualDisplay> {
        let folder = tempfile::tempdir()?;
        let screen = format!("{width}x{height}x24");
        let mut server = Command::new("Xvfb")
            .args(["-displayfd", "1", "-screen", "0", &screen, "-nolisten", "tcp", "-noreset", "-fbdir"])
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start Xvfb")?;
        // Xvfb chooses the number, and writes it when it accepts connections.
        let mut number = Vec::new();
        let mut stdout = server.stdout.take().context("Xvfb has an output")?;
        let mut byte = [0];
        while stdout.read(&mut byte)? == 1 && byte != *b"\n" {
            number.push(byte[0]);
        }
        let name = format!(":{}", String::from_utf8_lossy(&number));
        let framebuffer = folder.path().join("Xvfb_screen0");
        Ok(VirtualDisplay { server, name, framebuffer, _folder: folder })
    }

    pub fn screenshot(&self, path: &Path) -> anyhow::Result<()> {
        let mut scrot = Command::new("scrot");
        scrot.env("DISPLAY", &self.name).arg("--overwrite").arg(path);
        shell::output(scrot).map(drop)
    }
}

impl Drop for VirtualDisplay {
    fn drop(&mut self) {
        stop(&mut self.server);
    }
}

/// Kills a process and waits for it to exit.
pub fn stop(child: &mut Child) {
    // Both calls fail only if the process has already exited.
    let _ = child.kill();
    let _ = child.wait();
}
