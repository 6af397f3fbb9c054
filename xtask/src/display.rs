//! A virtual display, for machines that have none.

use std::{
    io::Read,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::Context;

use crate::shell;

/// An X server without a screen; it ends with this value.
pub struct VirtualDisplay {
    server: Child,
    /// The value for `DISPLAY`.
    pub name: String,
    /// A file in which the server keeps what it shows, in the form of XWD.
    pub framebuffer: PathBuf,
    _folder: tempfile::TempDir,
}

impl VirtualDisplay {
    /// Starts a display of `width` by `height` pixels on a free number.
    ///
    /// # Errors
    /// Xvfb is missing or does not start.
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
            .context("Xvfb cannot be started")?;
        // Xvfb chooses the number and writes it once it takes connections.
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

    /// Writes a picture of the whole display as PNG.
    ///
    /// # Errors
    /// scrot fails.
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

/// Ends a program and waits until it is gone.
pub fn stop(child: &mut Child) {
    // Both fail only where it has ended by itself.
    let _ = child.kill();
    let _ = child.wait();
}
