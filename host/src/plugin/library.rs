//! Loads a plugin's code. Whatever happens here, the library stays mapped for ever: a thread of it
//! may be running, and thread-locals of it may be waiting to be dropped.
#![expect(unsafe_code, reason = "the dynamic linker, and an ABI proved by hand")]

use std::{error::Error as _, fmt, mem::ManuallyDrop, path::Path};

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use longshore_plugin_api::{
    abi::{
        PluginRootRef,
        abi_stable::{
            StableAbi,
            library::{AbiHeaderRef, ROOT_MODULE_LOADER_NAME_WITH_NUL},
        },
    },
    layout,
    note::Note,
    wire::Description,
};

use super::problem::{Code, PluginProblem};

/// A plugin whose code is in this process.
#[derive(Clone)]
pub(super) struct Loaded {
    pub(super) root: PluginRootRef,
    pub(super) description: Description,
}

impl fmt::Debug for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Loaded({})", self.description.name)
    }
}

/// Loads the library at `path`, a private copy that has passed the preflight. Blocks for as long as
/// its static constructors do.
pub(super) fn load(path: &Path, note: &Note<'_>) -> Result<Loaded, PluginProblem> {
    // NOW: an undefined symbol is an error here, not the end of the process at the first call.
    // LOCAL: its symbols are nobody else's.
    // SAFETY: loading runs the library's constructors. That is trust in the plugin, which the
    // operator has given by installing it.
    let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) }.map_err(refused)?;
    // Leaked before any check: unloading it after its constructors ran is the one unsound thing.
    let library = ManuallyDrop::new(library);
    let refuse = |message: String| PluginProblem::new(Code::Layout, message);

    // SAFETY: the symbol is a static of this type in every library with our note, and its first
    // bytes, which `upgrade` looks at before it believes the rest, are the same in every version.
    let header =
        unsafe { library.get::<AbiHeaderRef>(ROOT_MODULE_LOADER_NAME_WITH_NUL.as_bytes()) };
    let header: AbiHeaderRef = *header.map_err(|_| {
        PluginProblem::new(Code::NotAPlugin, "it has the note of a plugin, but does not export one")
    })?;
    let header =
        header.upgrade().map_err(|e| refuse(format!("built with another abi_stable: {e}")))?;
    let theirs = header.layout().ok_or_else(|| refuse("it hides its layout".to_owned()))?;
    let ours = <PluginRootRef as StableAbi>::LAYOUT;
    layout::compatible(ours, theirs).map_err(|first| {
        refuse(format!(
            "its memory layout is not that of plugin API {} ({first}); rebuild it with a released longshore-plugin-api",
            note.api,
        ))
    })?;
    // SAFETY: compatible in one direction, as shown above.
    let root = unsafe { header.init_root_module_with_unchecked_layout::<PluginRootRef>() }
        .map_err(|e| refuse(format!("its root is not made: {e}")))?;
    let description = describe(root, note)?;
    Ok(Loaded { root, description })
}

/// `libloading` prints "dlopen failed" and keeps the reason in its source.
fn refused(e: libloading::Error) -> PluginProblem {
    let text = e.source().map_or_else(|| e.to_string(), ToString::to_string);
    let hint = if text.contains("failed to map segment") {
        "; is the state directory on a file system mounted `noexec`?"
    } else if text.contains("GLIBC_") {
        "; ask for a build for this system's older glibc"
    } else if text.contains("cannot open shared object file") {
        "; install the library that it names"
    } else {
        ""
    };
    PluginProblem::new(Code::Load, format!("the dynamic linker refuses it: {text}{hint}"))
}

fn describe(root: PluginRootRef, note: &Note<'_>) -> Result<Description, PluginProblem> {
    let problem = |message: String| PluginProblem::new(Code::Describe, message);
    let description: Description = serde_json::from_str(&root.describe()()).map_err(|e| {
        problem(format!("it does not describe itself: {e}; look for a panic in its log"))
    })?;
    let code = (&*description.name, &*description.version, &*description.api);
    let says = (&*note.name, &*note.version, &*note.api);
    if code != says {
        return Err(problem(format!(
            "its note says {says:?} and its code {code:?}; it was put together from two builds",
        )));
    }
    Ok(description)
}
