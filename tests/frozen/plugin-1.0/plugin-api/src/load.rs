//! Loads a plugin's code: the half of a host that knows the ABI. Feature `load`.
//!
//! Whatever happens here, the library stays mapped for ever: a thread of it may be running, and
//! thread-locals of it may be waiting to be dropped.
#![expect(unsafe_code, reason = "the dynamic linker, and an ABI proved by hand")]

use std::{error::Error as _, fmt, mem::ManuallyDrop, path::Path};

use abi_stable::{
    StableAbi,
    library::{AbiHeaderRef, ROOT_MODULE_LOADER_NAME_WITH_NUL},
};
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

use crate::{abi::PluginRootRef, layout, note::Note, wire::Description};

#[cfg(all(target_env = "musl", target_feature = "crt-static"))]
compile_error!(
    "what is linked statically loads no libraries: build with `-C target-feature=-crt-static`"
);

/// A plugin whose code is in this process.
#[derive(Clone)]
pub struct Loaded {
    /// What it exports.
    pub root: PluginRootRef,
    /// What it says of itself.
    pub description: Description,
}

impl fmt::Debug for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Loaded({})", self.description.name)
    }
}

/// Why a library's code is not used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Refused {
    /// The dynamic linker does not load it; its own words.
    #[error("the dynamic linker refuses it: {0}{hint}", hint = hint(.0))]
    Linker(String),
    /// There is no root in it.
    #[error("it has the note of a plugin, but does not export one")]
    NoRoot,
    /// Its header is of another `abi_stable`; all of it goes to the log at level `debug`.
    #[error(
        "its header is not that of abi_stable 0.11; rebuild it with a released longshore-plugin-api"
    )]
    Header,
    /// Its header does not say how its memory is laid out.
    #[error("it hides its layout")]
    NoLayout,
    /// Its memory is laid out otherwise; where first.
    #[error(
        "its memory layout is not the plugin API's ({0}); rebuild it with a released longshore-plugin-api"
    )]
    Layout(String),
    /// Its root is not made.
    #[error("its root is not made: {0}")]
    Root(String),
    /// It does not say what it is.
    #[error("it does not describe itself: {0}; look for a panic in its log")]
    Describe(String),
    /// Its note and its code say different things.
    #[error("its note says {note} and its code {code}; it was put together from two builds")]
    TwoBuilds {
        /// Name, version and API of the note.
        note: String,
        /// The same of the code.
        code: String,
    },
}

/// Loads the library at `path`: a copy that nobody writes to, that has passed a look at its headers (the
/// dynamic linker is no judge: a truncated library ends the process that loads it). Blocks for as long as
/// its static constructors do.
///
/// # Errors
///
/// The step that refused it.
pub fn load(path: &Path) -> Result<Loaded, Refused> {
    // NOW: an undefined symbol is an error here, not the end of the process at the first call.
    // LOCAL: its symbols are nobody else's.
    // SAFETY: loading runs the library's constructors. That is trust in the plugin, which whoever calls
    // this has.
    let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) }.map_err(linkers)?;
    // Leaked before any check: unloading it after its constructors ran is the one unsound thing.
    let library = ManuallyDrop::new(library);
    // SAFETY: the symbol is a static of this type in every library with our note, and its first
    // bytes, which `upgrade` looks at before it believes the rest, are the same in every version.
    let header =
        unsafe { library.get::<AbiHeaderRef>(ROOT_MODULE_LOADER_NAME_WITH_NUL.as_bytes()) };
    let header: AbiHeaderRef = *header.map_err(|_| Refused::NoRoot)?;
    let header = header.upgrade().map_err(|e| {
        // The whole text is a page.
        tracing::debug!("{e}");
        Refused::Header
    })?;
    let theirs = header.layout().ok_or(Refused::NoLayout)?;
    let ours = <PluginRootRef as StableAbi>::LAYOUT;
    layout::compatible(ours, theirs).map_err(Refused::Layout)?;
    // SAFETY: compatible in one direction, as shown above.
    let root = unsafe { header.init_root_module_with_unchecked_layout::<PluginRootRef>() }
        .map_err(|e| Refused::Root(e.to_string()))?;
    let description =
        serde_json::from_str(&root.describe()()).map_err(|e| Refused::Describe(e.to_string()))?;
    Ok(Loaded { root, description })
}

impl Loaded {
    /// Whether the note that was read before speaks of this code.
    ///
    /// # Errors
    ///
    /// [`Refused::TwoBuilds`].
    pub fn is_of(&self, note: &Note<'_>) -> Result<(), Refused> {
        let description = &self.description;
        let code = (&*description.name, &*description.version, &*description.api);
        let says = (&*note.name, &*note.version, &*note.api);
        if code == says {
            return Ok(());
        }
        Err(Refused::TwoBuilds { note: format!("{says:?}"), code: format!("{code:?}") })
    }
}

/// `libloading` prints "dlopen failed" and keeps the reason in its source.
fn linkers(e: libloading::Error) -> Refused {
    Refused::Linker(e.source().map_or_else(|| e.to_string(), ToString::to_string))
}

/// The way out of what a dynamic linker says.
fn hint(text: &str) -> &'static str {
    if text.contains("failed to map segment") {
        "; is the state directory on a file system mounted `noexec`?"
    } else if text.contains("GLIBC_") {
        "; ask for a build for this system's older glibc"
    } else if text.contains("cannot open shared object file") {
        "; install the library that it names where the system looks for libraries (a plugin is loaded from a private copy, and nothing lies beside that)"
    } else if text.contains("static TLS block") {
        "; its thread-local memory is for programs that start with it; build it without `-ftls-model=initial-exec`"
    } else {
        ""
    }
}
