//! What to do wrong, and in which method: `DEED` or `DEED-METHOD`, as in `panic-submit`.

use serde::Deserialize;

/// The methods that a mode may name.
const METHODS: [&str; 16] = [
    "new",
    "facts",
    "check_requirements",
    "start",
    "stop",
    "locality",
    "validate_job",
    "submit",
    "wait",
    "cancel",
    "recover",
    "forget",
    "retain",
    "logs",
    "health",
    "drop",
];

macro_rules! deeds {
    ($($family:ident { $($deed:ident = $name:literal),+ $(,)? })+) => {
        $(
            /// One family of deeds; done in the file of the same name.
            #[derive(Clone, Copy, Debug, Eq, PartialEq)]
            pub(crate) enum $family { $($deed),+ }
        )+

        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub(crate) enum Deed { $($family($family)),+ }

        impl Deed {
            const ALL: &[(&str, Self)] = &[$($(($name, Self::$family($family::$deed)),)+)+];
        }
    };
}

deeds! {
    Panic {
        Here = "panic",
        AfterAwait = "panic-later",
        Payload = "panic-payload",
        Guard = "panic-guard",
        Thread = "panic-thread",
    }
    Crash {
        Abort = "abort",
        Exit = "exit",
        ExitZero = "exit-zero",
        Null = "null",
        Overflow = "overflow",
        Oom = "oom",
    }
    Stall {
        Hang = "hang",
        Block = "block",
    }
    Flood {
        Stdout = "flood-stdout",
        Line = "flood-line",
        Log = "flood-log",
        Progress = "flood-progress",
    }
    Global {
        Chdir = "chdir",
        Umask = "umask",
        Setenv = "setenv",
        Sigchld = "sigchld",
        Sigterm = "sigterm",
        Sigpipe = "sigpipe",
    }
    Thread {
        Busy = "threads",
        Late = "late",
        Reenter = "reenter",
        Waker = "waker",
    }
    Process {
        Fork = "fork",
        CloseFds = "close-fds",
        JunkFrame = "junk-frame",
        HugeFrame = "huge-frame",
        StopSelf = "stop-self",
        Grandchild = "grandchild",
    }
    Leak {
        Threads = "leak-threads",
        Fds = "leak-fds",
        Memory = "leak-memory",
    }
    Lie {
        Result = "lie-result",
        Huge = "lie-huge",
        Verdict = "lie-verdict",
        Handle = "lie-handle",
        Facts = "lie-facts",
        Kind = "lie-kind",
        Progress = "lie-progress",
        Ending = "lie-ending",
        Logs = "lie-logs",
        TagTwice = "lie-tag-twice",
    }
    Talk {
        Secret = "secret",
    }
}

/// Where a mode stands, which says where it acts unless it names a method.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Origin {
    Config,
    Job,
}

impl Deed {
    fn home(self, origin: Origin) -> &'static str {
        match (self, origin) {
            (Self::Leak(Leak::Memory) | Self::Lie(Lie::Kind), _) => "submit",
            (Self::Leak(_), _) => "new",
            (Self::Thread(Thread::Late), _) => "stop",
            (Self::Thread(Thread::Reenter | Thread::Waker), _)
            | (Self::Panic(Panic::Guard), _)
            | (Self::Lie(Lie::Progress), _)
            | (_, Origin::Job) => "wait",
            (_, Origin::Config) => "start",
        }
    }
}

/// One deed in one method.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Mode {
    deed: Deed,
    method: Option<Method>,
}

/// One of [`METHODS`].
#[derive(Clone, Copy, Debug)]
struct Method(&'static str);

impl Mode {
    /// What it does in this method.
    pub(crate) fn at(self, method: &str, origin: Origin) -> Option<Deed> {
        let home = self.method.map_or_else(|| self.deed.home(origin), |Method(named)| named);
        (home == method).then_some(self.deed)
    }

    /// Whether it is this lie; lies are told wherever there is an occasion.
    pub(crate) fn lies(self, lie: Lie) -> bool {
        self.deed == Deed::Lie(lie)
    }
}

impl TryFrom<String> for Mode {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        // `panic-payload` is a deed, `panic-submit` another one in a method: at most one of the two
        // readings has both words in a list.
        let read = |name: &str, deed| {
            let method = match text.strip_prefix(name)? {
                "" => None,
                rest => {
                    let method = rest.strip_prefix('-')?;
                    Some(Method(METHODS.iter().find(|known| **known == method)?))
                }
            };
            Some(Self { deed, method })
        };
        // A misspelled mode does nothing wrong, and the test that names it would pass.
        let read = Deed::ALL.iter().find_map(|(name, deed)| read(name, *deed));
        read.ok_or_else(|| format!("`{text}` is no mode of this plugin"))
    }
}
