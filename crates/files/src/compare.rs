//! Comparing the content of files.

use std::{
    fs::File,
    io::{BufReader, Read},
    path::Path,
};

use crate::Error;

/// Whether two files have the same content.
///
/// # Errors
/// [`Error`] if one of them cannot be read.
pub fn have_equal_content(a: &Path, b: &Path) -> Result<bool, Error> {
    let open = |path: &Path| File::open(path).map(BufReader::new).map_err(Error::at(path));
    let (mut left, mut right) = (open(a)?, open(b)?);
    let (mut left_bytes, mut right_bytes) = ([0; 64 * 1024], [0; 64 * 1024]);
    loop {
        let read = left.read(&mut left_bytes).map_err(Error::at(a))?;
        let is_equal = match read {
            0 => return Ok(right.read(&mut right_bytes[..1]).map_err(Error::at(b))? == 0),
            read => right.read_exact(&mut right_bytes[..read]).is_ok() && left_bytes[..read] == right_bytes[..read],
        };
        if !is_equal {
            return Ok(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_equal_if_length_and_every_byte_are() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        let (a, b) = (path("a"), path("b"));
        let content = vec![7_u8; 150_000];
        std::fs::write(&a, &content).expect("written");
        let changed: Vec<u8> = content.iter().copied().take(149_999).chain([8]).collect();
        for (other, is_equal) in [(&content[..], true), (&content[..149_999], false), (&changed, false), (&[], false)] {
            std::fs::write(&b, other).expect("written");
            assert_eq!(have_equal_content(&a, &b).expect("read"), is_equal);
            assert_eq!(have_equal_content(&b, &a).expect("read"), is_equal);
        }
        assert!(have_equal_content(&a, &path("none")).is_err());
    }
}
