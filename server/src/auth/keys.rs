//! The keys that sign tokens: a folder of files, readable by their owner only. The newest signs, all are published, so
//! that a rotation ends no session.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use jsonwebtoken::{DecodingKey, EncodingKey};
use p256::{
    SecretKey,
    elliptic_curve::rand_core::OsRng,
    pkcs8::{DecodePrivateKey, EncodePrivateKey, LineEnding},
};
use serde_json::{Value, json};
use uuid::Uuid;

/// Why there are no keys to work with.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The folder or a file in it cannot be used.
    #[error("the keys in {} cannot be used: {source}", path.display())]
    File {
        /// The folder or file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file holds no key.
    #[error("{} is no key: {reason}", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// All keys, the signing one apart.
pub struct KeyRing {
    pub(super) signing_id: String,
    pub(super) signing: EncodingKey,
    verifying: Vec<(String, DecodingKey)>,
    /// The public halves as a JWK set (RFC 7517).
    pub(super) public: Value,
}

impl KeyRing {
    /// Reads the folder's keys; makes the first.
    pub fn open(folder: &Path) -> Result<KeyRing, KeyError> {
        let mut files = key_files(folder)?;
        if files.is_empty() {
            files.push(rotate(folder)?);
        }
        let mut ring: Option<KeyRing> = None;
        let (mut verifying, mut public) = (Vec::new(), Vec::new());
        for path in files {
            let no_key = |reason: String| KeyError::NoKey { path: path.clone(), reason };
            let pem = fs::read_to_string(&path).map_err(|source| KeyError::File { path: path.clone(), source })?;
            let secret = SecretKey::from_pkcs8_pem(&pem).map_err(|error| no_key(error.to_string()))?;
            let id = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
            let mut jwk: Value = serde_json::from_str(&secret.public_key().to_jwk_string())
                .map_err(|error| no_key(error.to_string()))?;
            let coordinate = |name: &str| jwk[name].as_str().unwrap_or_default().to_owned();
            let key = DecodingKey::from_ec_components(&coordinate("x"), &coordinate("y"));
            verifying.push((id.clone(), key.map_err(|error| no_key(error.to_string()))?));
            jwk["kid"] = json!(id);
            jwk["alg"] = json!("ES256");
            jwk["use"] = json!("sig");
            public.push(jwk);
            let signing = EncodingKey::from_ec_pem(pem.as_bytes()).map_err(|error| no_key(error.to_string()))?;
            ring = Some(KeyRing { signing_id: id, signing, verifying: Vec::new(), public: Value::Null });
        }
        let no_file = || KeyError::NoKey { path: folder.to_owned(), reason: "the folder is empty".to_owned() };
        Ok(KeyRing { verifying, public: json!({ "keys": public }), ..ring.ok_or_else(no_file)? })
    }

    /// The key of this id.
    pub(super) fn verifying(&self, id: &str) -> Option<&DecodingKey> {
        self.verifying.iter().find(|(other, _)| other == id).map(|(_, key)| key)
    }
}

/// Makes a new signing key in the folder; servers use it from their next start on. Gives its file.
///
/// # Errors
/// The folder cannot be written.
pub fn rotate(folder: &Path) -> Result<PathBuf, KeyError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| KeyError::File { path, source }
    };
    let pem = SecretKey::random(&mut OsRng).to_pkcs8_pem(LineEnding::LF);
    let pem = pem.map_err(|error| KeyError::NoKey { path: folder.to_owned(), reason: error.to_string() })?;
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
        builder.mode(0o700);
        options.mode(0o600);
    }
    builder.create(folder).map_err(at(folder))?;
    // Ids of this version sort by time: the last name is the newest key.
    let path = folder.join(format!("{}.pem", Uuid::now_v7()));
    let mut file = options.open(&path).map_err(at(&path))?;
    file.write_all(pem.as_bytes()).and_then(|()| file.sync_all()).map_err(at(&path))?;
    Ok(path)
}

fn key_files(folder: &Path) -> Result<Vec<PathBuf>, KeyError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(KeyError::File { path: folder.to_owned(), source }),
    };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "pem"))
        .collect();
    files.sort();
    Ok(files)
}
