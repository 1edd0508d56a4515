//! Secrets: named in the file, kept elsewhere, never shown.

use std::{env, fmt, fs, io, io::Read as _, path::PathBuf};

use sha2::{Digest as _, Sha256};

use super::kind::form::Form;

/// Where a secret is kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SecretSource {
    /// In an environment variable.
    Environment(String),
    /// In a file; white space around it does not count.
    File(PathBuf),
}

/// How a token is recognised.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum TokenSecret {
    /// By its hash, which the file holds.
    Digest(TokenDigest),
    /// By the token itself, which is kept elsewhere.
    Source(SecretSource),
}

/// The SHA-256 of a token.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct TokenDigest([u8; 32]);

/// A secret that was read. It has no `Debug`, so that no log can show it.
pub struct Secret(String);

/// Why a secret cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The variable is not set, or is not UTF-8.
    #[error("environment variable `{name}` cannot be read")]
    Environment {
        /// The variable.
        name: String,
        /// Why.
        source: env::VarError,
    },
    /// The file cannot be read.
    #[error("file {} cannot be read", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Somebody could guess it.
    #[error(
        "{from} holds {length} characters: a token needs at least {} (hint: `openssl rand -hex \
         32`)",
        SHORTEST
    )]
    Short {
        /// The file or variable.
        from: String,
        /// How long it is.
        length: usize,
    },
}

/// A token shorter than this can be guessed.
const SHORTEST: usize = 16;
/// No token is longer; what is, is the wrong file.
const LONGEST: u64 = 64 << 10;

pub(super) const DIGEST: Form<TokenDigest> = Form {
    name: "64 hexadecimal digits",
    expected: "64 hexadecimal digits",
    parse: TokenDigest::from_hex,
    show: |_| "(secret)".to_owned(),
    hint: |text| {
        (text.len() != 64).then(|| {
            "a token itself has no place here: `printf %s \"$TOKEN\" | sha256sum`".to_owned()
        })
    },
    secret: true,
};

impl TokenSecret {
    /// The hash to compare with. Reads the file or variable if the secret is kept there.
    ///
    /// # Errors
    ///
    /// It cannot be read, or is too short to be a secret.
    pub fn digest(&self) -> Result<TokenDigest, SecretError> {
        match self {
            Self::Digest(digest) => Ok(*digest),
            Self::Source(source) => {
                let secret = source.read()?;
                let length = secret.0.chars().count();
                if length < SHORTEST {
                    return Err(SecretError::Short { from: source.to_string(), length });
                }
                Ok(TokenDigest::of(secret.expose()))
            }
        }
    }
}

impl SecretSource {
    /// Reads the secret.
    ///
    /// # Errors
    ///
    /// The file or variable cannot be read.
    pub fn read(&self) -> Result<Secret, SecretError> {
        let text = match self {
            Self::Environment(name) => env::var(name)
                .map_err(|source| SecretError::Environment { name: name.clone(), source })?,
            Self::File(path) => read_file(path)
                .map_err(|source| SecretError::File { path: path.clone(), source })?,
        };
        Ok(Secret(text.trim().to_owned()))
    }
}

impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment(name) => write!(f, "environment variable `{name}`"),
            Self::File(path) => write!(f, "file {}", path.display()),
        }
    }
}

impl TokenDigest {
    /// The hash of `token`.
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }

    /// The hash itself.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether this is the hash of `token`. Takes the same time whether or not it is.
    pub fn recognises(&self, token: &str) -> bool {
        let other = Self::of(token);
        let difference =
            self.0.iter().zip(other.0).fold(0, |difference, (a, b)| difference | (a ^ b));
        // Without this the compiler may see that one difference is enough, and stop early.
        std::hint::black_box(difference) == 0
    }

    fn from_hex(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return None;
        }
        let mut digest = [0; 32];
        for (byte, pair) in digest.iter_mut().zip(digits.chunks_exact(2)) {
            let high = char::from(pair[0]).to_digit(16)?;
            let low = char::from(pair[1]).to_digit(16)?;
            *byte = u8::try_from(high << 4 | low).ok()?;
        }
        Some(Self(digest))
    }
}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenDigest(..)")
    }
}

impl Secret {
    /// The text itself. Whoever calls this answers for where it goes.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Bounded, and never a device or a pipe, which could keep the host waiting for ever.
fn read_file(path: &PathBuf) -> io::Result<String> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let mut text = String::new();
    let length = fs::File::open(path)?.take(LONGEST + 1).read_to_string(&mut text)? as u64;
    if length > LONGEST {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "longer than any token"));
    }
    Ok(text)
}
