//! Why a plugin is not used: a stable code for programs, one line for people.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use serde::{Serialize, Serializer};

/// Why a plugin or an executor is not used.
#[derive(Clone, Debug, Serialize)]
pub struct PluginProblem {
    /// The step that refused it.
    pub code: Code,
    /// The file, as the operator named it.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "shown_if_any")]
    pub file: Option<PathBuf>,
    /// The plugin's own name, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugin: Option<String>,
    /// What is wrong and what to do, in one line.
    pub message: String,
}

impl PluginProblem {
    pub(super) fn new(code: Code, message: impl Into<String>) -> Self {
        // One line, whatever a dynamic linker or a plugin has to say.
        let message = message.into().replace('\n', " ");
        Self { code, file: None, plugin: None, message }
    }

    pub(super) fn file(mut self, file: &Path) -> Self {
        self.file = Some(file.to_owned());
        self
    }

    pub(super) fn plugin(mut self, plugin: &str) -> Self {
        self.plugin = Some(plugin.to_owned());
        self
    }
}

/// A path as people see it: its names are bytes, and JSON has only text.
pub(super) fn shown<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}

fn shown_if_any<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
    path.as_deref().map(Path::to_string_lossy).serialize(serializer)
}

impl fmt::Display for PluginProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.plugin, &self.file) {
            (Some(plugin), Some(file)) => write!(f, "plugin `{plugin}` ({}): ", file.display())?,
            (Some(plugin), None) => write!(f, "plugin `{plugin}`: ")?,
            (None, Some(file)) => write!(f, "{}: ", file.display())?,
            (None, None) => {}
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for PluginProblem {}

macro_rules! codes {
    ($($(#[$doc:meta])+ $code:ident = $text:literal;)+) => {
        /// The step that refused a plugin. Stable: scripts read it.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        #[non_exhaustive]
        pub enum Code { $($(#[$doc])+ $code,)+ }

        impl Code {
            /// The code as scripts read it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$code => $text,)+ }
            }

            /// The code of that text.
            pub(super) fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$code),)+ _ => None }
            }
        }
    };
}

codes! {
    /// The plugin directory cannot be read.
    Directory = "E_DIRECTORY";
    /// The file cannot be opened or read.
    Open = "E_OPEN";
    /// It is a directory, a pipe, a device: not a regular file.
    NotAFile = "E_NOT_A_FILE";
    /// It is larger than any plugin.
    TooLarge = "E_TOO_LARGE";
    /// It, or a directory on the way to it, belongs to somebody else.
    Owner = "E_OWNER";
    /// Others may write it, or replace it.
    Writable = "E_WRITABLE";
    /// It changed while it was read: it is looked at again.
    Changing = "E_CHANGING";
    /// It is no ELF file.
    NotElf = "E_NOT_ELF";
    /// It ends before its own contents do.
    Truncated = "E_TRUNCATED";
    /// It is for another processor, word size or byte order.
    WrongArch = "E_WRONG_ARCH";
    /// It is a program, not a shared library.
    NotALibrary = "E_NOT_A_LIBRARY";
    /// It asks for a stack that can be executed, or for code that can be written.
    ExecStack = "E_EXEC_STACK";
    /// It is a shared library, but no plugin of this host.
    NotAPlugin = "E_NOT_A_PLUGIN";
    /// What it says of itself makes no sense.
    BadNote = "E_BAD_NOTE";
    /// It is built for another version of the plugin API.
    ApiRange = "E_API_RANGE";
    /// A panic in it would end its process.
    PanicAbort = "E_PANIC_ABORT";
    /// It needs a newer C library than this machine has.
    Glibc = "E_GLIBC";
    /// Its name means something else already.
    Reserved = "E_RESERVED";
    /// Two files say that they are the same plugin.
    Duplicate = "E_DUPLICATE";
    /// Its content is another one than the lock file allows.
    Pin = "E_PIN";
    /// The lock file does not know it, and has to.
    Unpinned = "E_UNPINNED";
    /// The private copy cannot be made.
    Copy = "E_COPY";
    /// The dynamic linker refuses it.
    Load = "E_LOAD";
    /// Its ABI has another memory layout.
    Layout = "E_LAYOUT";
    /// It describes itself otherwise than its note does, or not at all.
    Describe = "E_DESCRIBE";
    /// The JSON Schema of its settings is none.
    Schema = "E_SCHEMA";
    /// It isolates less than the version in use, or runs its jobs elsewhere.
    StepDown = "E_STEP_DOWN";
    /// It does not answer in time.
    Hung = "E_HUNG";
    /// It crashed too often and is left alone until somebody releases it.
    Quarantined = "E_QUARANTINED";
    /// Its file was removed.
    Gone = "E_GONE";
    /// There is no plugin of that name.
    Unknown = "E_UNKNOWN_PLUGIN";
    /// The executor's configuration is wrong.
    Config = "E_CONFIG";
    /// The executor cannot be made.
    OpenExecutor = "E_EXECUTOR";
    /// Something that the executor needs is missing.
    Requirements = "E_REQUIREMENTS";
    /// The executor does not start.
    Start = "E_START";
    /// A process to load it in cannot be started.
    Runner = "E_RUNNER";
    /// Its process died.
    Crashed = "E_CRASHED";
    /// Its process says what makes no sense.
    Protocol = "E_PROTOCOL";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
