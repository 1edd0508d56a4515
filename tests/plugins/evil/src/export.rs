//! The library's header: the usual one, or (feature `unchecked`) one that hides the memory layout.

#[cfg(not(feature = "unchecked"))]
longshore_plugin_api::export_executor!(crate::Evil);

#[cfg(feature = "unchecked")]
mod unchecked {
    #![expect(unsafe_code, reason = "what the macro does, with one word changed")]

    use longshore_plugin_api::{
        abi::{
            PluginRootRef,
            abi_stable::{
                library::{CheckTypeLayout, LibHeader, RootModuleResult},
                marker_type::ErasedPrefix,
                prefix_type::PrefixRefTrait as _,
                std_types::RResult,
            },
        },
        export::{About, Plugin, root_of},
        note::{self, Bytes, Piece},
    };

    struct Exported;

    impl Plugin for Exported {
        type Executor = crate::Evil;
        const ABOUT: About =
            About::of_crate(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"), "", "", true);
    }

    const PIECES: &[Piece] = &Exported::ABOUT.note();

    #[used]
    #[unsafe(link_section = ".note.longshore")]
    static NOTE: Bytes<{ note::size(PIECES) }> = note::bytes(PIECES);

    #[unsafe(export_name = "_1as_0lib_1header_0root_bmodule_bloader")]
    static HEADER: LibHeader =
        // SAFETY: `root` makes the erased reference from a `PluginRootRef`.
        unsafe { LibHeader::from_constructor::<PluginRootRef>(root, CheckTypeLayout::No) };

    extern "C" fn root() -> RootModuleResult {
        // SAFETY: erased here, restored by the host as the type that the header names.
        RResult::ROk(unsafe { root_of::<Exported>().to_prefix_ref().cast::<ErasedPrefix>() })
    }
}
