//! Unpacking a package's snapshot, on real files.

use std::{
    fs,
    path::{Path, PathBuf},
};

use garage_decode::{Snapshot, SnapshotError, default_snapshot_path, pinned};
use garage_testkit::packed_snapshot;

/// A folder with a packed snapshot, and a place for the unpacked one that does not exist yet.
struct Installed {
    folder: tempfile::TempDir,
    packed: Vec<PathBuf>,
    path: PathBuf,
}

impl Installed {
    fn new() -> Installed {
        let folder = tempfile::tempdir().expect("a folder");
        // The first of the list is missing, as it is on most systems.
        let packed = vec![folder.path().join("nowhere.zst"), packed_snapshot(folder.path())];
        let path = folder.path().join("cache/of/this/user").join(pinned::FILE_NAME);
        Installed { folder, packed, path }
    }

    fn open(&self) -> Result<Snapshot, SnapshotError> {
        Snapshot::open_or_unpack(&self.path, &self.packed)
    }

    fn refusal(&self) -> SnapshotError {
        self.open().err().expect("refused")
    }

    fn cache(&self) -> &Path {
        self.path.parent().expect("a folder")
    }

    /// The files in the cache folder, by name.
    fn cached(&self) -> Vec<String> {
        let entries = fs::read_dir(self.cache()).expect("the folder").map(|entry| entry.expect("an entry").file_name());
        let mut names: Vec<String> = entries.map(|name| name.into_string().expect("UTF-8")).collect();
        names.sort();
        names
    }
}

const ALL: [&str; 3] = ["vpic-2026-10.catalog.json", "vpic-2026-10.lock", "vpic-2026-10.rkyv"];

#[test]
fn unpacks_once_and_builds_the_catalog() {
    let installed = Installed::new();
    assert_eq!(installed.open().expect("unpacked").month(), pinned::MONTH);
    assert_eq!(installed.cached(), ALL);
    // Nothing packed is needed any more.
    fs::remove_file(&installed.packed[1]).expect("removed");
    installed.open().expect("it is there");
}

#[test]
fn reports_a_missing_snapshot_if_no_packed_file_exists() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(pinned::FILE_NAME);
    let refused = Snapshot::open_or_unpack(&path, &[folder.path().join("nowhere.zst")]).err().expect("refused");
    assert!(matches!(refused, SnapshotError::Missing { path: missing } if missing == path));
    assert_eq!(fs::read_dir(folder.path()).expect("the folder").count(), 0);
}

#[test]
fn replaces_partial_files_and_deletes_older_months() {
    let installed = Installed::new();
    fs::create_dir_all(installed.cache()).expect("a folder");
    let old = ["vpic-2026-09.catalog.json", "vpic-2026-09.rkyv"];
    let others = ["vpic-2026-11.rkyv", "vpic-mine.rkyv"];
    for name in old.iter().chain(&others).chain(&["vpic-2026-10.part", pinned::FILE_NAME]) {
        fs::write(installed.cache().join(name), "half a file").expect("written");
    }
    installed.open().expect("unpacked");
    assert_eq!(installed.cached(), [ALL.as_slice(), &others].concat());
}

#[test]
fn a_damaged_packed_file_is_reported_and_leaves_no_files() {
    let installed = Installed::new();
    let packed = &installed.packed[1];
    let whole = fs::read(packed).expect("read");
    let mut altered = whole.clone();
    let honda = altered.windows(5).position(|window| window == b"HONDA").expect("a Honda");
    altered[honda] = b'J';
    let mut longer = Vec::new();
    let zeros = std::io::Read::take(std::io::repeat(0), pinned::SIZE_BYTES + 100_000_000);
    ruzstd::encoding::compress(zeros, &mut longer, ruzstd::encoding::CompressionLevel::Uncompressed);
    let cases: [(&[u8], &str); 5] = [
        (b"", "cannot be used"),
        (b"no archive", "cannot be used"),
        (&whole[..whole.len() / 2], "cannot be used"),
        (&altered, "cannot be used"),
        (&longer, "it has 84124481 bytes instead of 84124480"),
    ];
    for (bytes, reason) in cases {
        fs::write(packed, bytes).expect("written");
        let refused = installed.refusal();
        assert!(matches!(&refused, SnapshotError::Damaged { path, .. } if path == packed), "{refused}");
        assert!(refused.to_string().contains(reason), "{refused}");
        assert_eq!(installed.cached(), ["vpic-2026-10.lock"], "{reason}");
    }
    // Once it is right again, so is everything.
    fs::write(packed, whole).expect("written");
    installed.open().expect("unpacked");
}

#[test]
fn reports_a_folder_that_cannot_be_written() {
    let installed = Installed::new();
    // A file stands in the way, which stops even root.
    fs::write(installed.folder.path().join("cache"), "").expect("written");
    let refused = installed.refusal();
    assert!(matches!(&refused, SnapshotError::NotUnpacked { folder, .. } if folder == installed.cache()), "{refused}");
    assert!(refused.to_string().contains("84 MB are needed"), "{refused}");
}

#[cfg(target_os = "linux")]
#[test]
fn reports_a_full_disk_and_leaves_no_files() {
    let installed = Installed::new();
    fs::create_dir_all(installed.cache()).expect("a folder");
    // The system's own full disk.
    std::os::unix::fs::symlink("/dev/full", installed.cache().join("vpic-2026-10.part")).expect("a link");
    let refused = installed.refusal();
    assert!(matches!(refused, SnapshotError::NotUnpacked { .. }), "{refused}");
    assert!(refused.to_string().contains("No space left"), "{refused}");
    assert_eq!(installed.cached(), ["vpic-2026-10.lock"]);
    installed.open().expect("there is room again");
}

#[test]
fn concurrent_processes_unpack_once() {
    let installed = Installed::new();
    std::thread::scope(|scope| {
        let opened: Vec<_> = (0..4).map(|_| scope.spawn(|| installed.open().map(drop))).collect();
        for opened in opened {
            opened.join().expect("no panic").expect("unpacked");
        }
    });
    assert_eq!(installed.cached(), ALL);
    let whole = fs::read(default_snapshot_path().expect("a path")).expect("read");
    assert!(fs::read(&installed.path).expect("read") == whole);
}
