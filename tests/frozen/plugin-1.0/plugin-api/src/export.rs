//! What [`export_executor!`](crate::export_executor) expands to. Not for use by hand.
#![expect(unsafe_code, reason = "the exported header is made from an erased root")]

use abi_stable::{
    library::{CheckTypeLayout, LibHeader, RootModuleResult},
    marker_type::ErasedPrefix,
    prefix_type::{PrefixRefTrait, PrefixTypeTrait},
    sabi_trait::TD_Opaque,
    std_types::{RResult, RString},
};
use schemars::schema_for;

use crate::{
    Error, Executor, Host,
    abi::{API, Executor_TO, ExecutorBox, HostApiBox, PluginError, PluginRoot, PluginRootRef},
    adapter::{Adapter, Surroundings},
    guard::{self, guard},
    logging,
    note::Piece,
    runtime,
    wire::{Description, Open},
};

/// What a plugin says of itself.
#[derive(Clone, Copy, Debug)]
pub struct About {
    name: &'static str,
    version: &'static str,
    vendor: &'static str,
    description: &'static str,
    panic: &'static str,
}

impl About {
    /// From the crate's own metadata; a prefix `longshore-` is not part of the name.
    #[must_use]
    pub const fn of_crate(
        package: &'static str,
        version: &'static str,
        vendor: &'static str,
        description: &'static str,
        unwinds: bool,
    ) -> Self {
        let panic = if unwinds { "unwind" } else { "abort" };
        Self { name: without_prefix(package), version, vendor, description, panic }
    }

    /// Names the plugin.
    #[must_use]
    pub const fn name(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    /// Says who made it.
    #[must_use]
    pub const fn vendor(mut self, vendor: &'static str) -> Self {
        self.vendor = vendor;
        self
    }

    /// Says what it does.
    #[must_use]
    pub const fn description(mut self, description: &'static str) -> Self {
        self.description = description;
        self
    }

    /// The pieces of the note's JSON.
    #[must_use]
    pub const fn note(self) -> [Piece; 15] {
        use Piece::{Quoted, Raw};
        [
            Raw(r#"{"note":1,"name":""#),
            Quoted(self.name),
            Raw(r#"","version":""#),
            Quoted(self.version),
            Raw(r#"","vendor":""#),
            Quoted(self.vendor),
            Raw(
                r#"","api":"1.0","min_host":"1.0","abi_stable":"0.11","async_ffi_abi":2,"panic":""#,
            ),
            Raw(self.panic),
            Raw(r#"","target":""#),
            Quoted(env!("LONGSHORE_TARGET")),
            Raw(r#"","rustc":""#),
            Quoted(env!("LONGSHORE_RUSTC")),
            Raw(r#"","profile":""#),
            Quoted(env!("LONGSHORE_PROFILE")),
            Raw(r#""}"#),
        ]
    }
}

const API_TEXT: &str = "1.0";
const _: () = assert!(API.0 == 1 && API.1 == 0, "say it in API_TEXT and in the note too");
const _: () = assert!(async_ffi::ABI_VERSION == 2, "say it in the note too");

const fn without_prefix(package: &'static str) -> &'static str {
    let (prefix, name) = (b"longshore-", package.as_bytes());
    let mut i = 0;
    while i < prefix.len() {
        if i >= name.len() || name[i] != prefix[i] {
            return package;
        }
        i += 1;
    }
    package.split_at(prefix.len()).1
}

/// One exported executor type.
pub trait Plugin: 'static {
    /// The author's type.
    type Executor: Executor;
    /// What it says of itself.
    const ABOUT: About;
}

/// The symbol that the host looks for.
#[must_use]
pub const fn header<P: Plugin>() -> LibHeader {
    // SAFETY: `root` makes the erased reference from a `PluginRootRef`.
    unsafe { LibHeader::from_constructor::<PluginRootRef>(root::<P>, CheckTypeLayout::Yes) }
}

extern "C" fn root<P: Plugin>() -> RootModuleResult {
    // SAFETY: erased here, restored by the host as the type that `header` names.
    RResult::ROk(unsafe { root_of::<P>().to_prefix_ref().cast::<ErasedPrefix>() })
}

/// What a host finds behind the header, for whoever has the executor linked.
#[must_use]
pub fn root_of<P: Plugin>() -> PluginRootRef {
    PluginRoot { describe: describe::<P>, open: open::<P> }.leak_into_prefix()
}

extern "C" fn describe<P: Plugin>() -> RString {
    let text = guard("describe", || {
        let options = P::Executor::options_schema();
        let about = P::ABOUT;
        serde_json::to_string(&Description {
            name: about.name.to_owned(),
            version: about.version.to_owned(),
            vendor: about.vendor.to_owned(),
            description: about.description.to_owned(),
            api: API_TEXT.to_owned(),
            config_schema: schema_for!(<P::Executor as Executor>::Config).to_value(),
            options_schema: options.map(schemars::Schema::to_value),
        })
    });
    // An empty answer is refused by the host, which names the plugin.
    text.ok().and_then(Result::ok).unwrap_or_default().into()
}

/// What the root's `open` does; public for tests of the adapter without a library.
pub extern "C" fn open<P: Plugin>(
    api: HostApiBox,
    request: RString,
) -> RResult<ExecutorBox, PluginError> {
    match guard("open", || open_or_say::<P>(api, &request)) {
        Ok(Ok(executor)) => RResult::ROk(executor),
        Ok(Err(e)) | Err(e) => RResult::RErr(e.into()),
    }
}

fn open_or_say<P: Plugin>(api: HostApiBox, request: &str) -> Result<ExecutorBox, Error> {
    let request: Open = serde_json::from_str(request)
        .map_err(|e| Error::internal(format!("this plugin cannot read the host's `open`: {e}")))?;
    let host = Host::new(&request, api);
    let dispatch = logging::dispatch_to(&host, &request.log_level);
    guard::install_hook();
    let surroundings = Surroundings { runtime: runtime::get(P::ABOUT.name)?, dispatch };
    let executor = surroundings.run("new", || {
        let config = read_config(request.config.get())?;
        <P::Executor as Executor>::new(config, host)
    })??;
    Ok(Executor_TO::from_value(Adapter::new(executor, surroundings), TD_Opaque))
}

fn read_config<C: serde::de::DeserializeOwned>(text: &str) -> Result<C, Error> {
    let mut json = serde_json::Deserializer::from_str(text);
    serde_path_to_error::deserialize(&mut json).map_err(|e| {
        use serde_path_to_error::Segment;
        let mut pointer = String::new();
        for segment in e.path() {
            pointer.push('/');
            match segment {
                Segment::Seq { index } => pointer.push_str(&index.to_string()),
                Segment::Map { key } | Segment::Enum { variant: key } => {
                    pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
                }
                Segment::Unknown => pointer.push('?'),
            }
        }
        // serde_json's own `at line 1 column 2` speaks of text that the operator never wrote.
        let message = e.inner().to_string();
        let message = message.split(" at line ").next().unwrap_or(&message);
        Error::invalid_config(message).at(pointer)
    })
}

/// Exports an [`Executor`](crate::Executor) as this library's plugin: once per `cdylib`.
///
/// The plugin's name is the package's without a prefix `longshore-`; its version, vendor and
/// description are the package's `version`, `authors` and `description`. Each but the version can be
/// given here.
///
/// ```text
/// export_executor!(Slurm);
/// export_executor!(Slurm, name = "slurm", vendor = "ACME", description = "runs jobs on Slurm");
/// ```
#[macro_export]
macro_rules! export_executor {
    ($executor:ty $(, $key:ident = $value:expr)* $(,)?) => {
        const _: () = {
            struct Exported;

            impl $crate::export::Plugin for Exported {
                type Executor = $executor;
                const ABOUT: $crate::export::About = $crate::export::About::of_crate(
                    env!("CARGO_PKG_NAME"),
                    env!("CARGO_PKG_VERSION"),
                    env!("CARGO_PKG_AUTHORS"),
                    env!("CARGO_PKG_DESCRIPTION"),
                    cfg!(panic = "unwind"),
                )
                $(.$key($value))*;
            }

            const PIECES: &[$crate::note::Piece] =
                &<Exported as $crate::export::Plugin>::ABOUT.note();

            #[used]
            #[unsafe(link_section = ".note.longshore")]
            static NOTE: $crate::note::Bytes<{ $crate::note::size(PIECES) }> =
                $crate::note::bytes(PIECES);

            // The name is `abi_stable`'s, and the same for every plugin.
            #[unsafe(export_name = "_1as_0lib_1header_0root_bmodule_bloader")]
            static HEADER: $crate::abi::abi_stable::library::LibHeader =
                $crate::export::header::<Exported>();
        };
    };
}
