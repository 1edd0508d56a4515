//! Which file a program's name means.

use std::{
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
};

use rustix::fs::{Access, access};

/// There is no such program.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
#[error("there is no program `{}` on PATH ({})", name.display(), path.display())]
pub(crate) struct NotFound {
    name: PathBuf,
    path: PathBuf,
}

/// Finds a program as a shell would: a bare name on `path`, anything with a slash relative to
/// `base_dir`. Whether the latter exists is seen when it is executed.
pub(crate) fn find(name: &Path, base_dir: &Path, path: &OsStr) -> Result<PathBuf, NotFound> {
    if name.as_os_str().as_encoded_bytes().contains(&b'/') {
        return Ok(base_dir.join(name));
    }
    env::split_paths(path)
        // An empty entry would mean the current directory, which is nobody's here.
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join(name))
        .find(|file| file.is_file() && access(file, Access::EXEC_OK).is_ok())
        .ok_or_else(|| NotFound { name: name.to_owned(), path: path.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str) -> Option<PathBuf> {
        find(Path::new(name), Path::new("/base"), OsStr::new(":relative:/nowhere:/etc:/bin")).ok()
    }

    #[test]
    fn a_bare_name_is_looked_up_and_a_path_is_not() {
        assert_eq!(found("true"), Some("/bin/true".into()));
        assert_eq!(found("./score"), Some("/base/./score".into()));
        assert_eq!(found("bin/score"), Some("/base/bin/score".into()));
        assert_eq!(found("/opt/score"), Some("/opt/score".into()));
    }

    #[test]
    fn what_is_no_program_is_not_found() {
        assert_eq!(found("passwd.not.there"), None);
        assert_eq!(found("passwd-"), None);
        assert_eq!(found("hostname."), None);
    }
}
