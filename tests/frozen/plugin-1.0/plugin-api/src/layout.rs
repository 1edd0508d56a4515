//! Whether two builds of the ABI can work with each other.

use abi_stable::{
    abi_stability::abi_checking::{
        AbiInstability, AbiInstabilityErrors, CheckingGlobals, ExpectedFound,
        check_layout_compatibility_with_globals,
    },
    type_layout::{TLFieldOrFunction, TypeLayout},
};

/// Whether a library of layout `theirs` can be used through `ours`, else where they differ first.
///
/// `abi_stable` accepts a library that has *at least* our fields, and so refuses a plugin that is
/// older than its host. The other way round it says that ours has at least theirs, and that is as
/// safe: accessors read the field count that the side which built a prefix type wrote into it, so a
/// missing field is `None` and a missing method its default; types that cannot grow are compared for
/// equality in either direction; and growth on both sides fails both ways.
///
/// # Errors
///
/// What differs first, in a few words; all of it goes to the log at level `debug`.
pub fn compatible(ours: &'static TypeLayout, theirs: &'static TypeLayout) -> Result<(), String> {
    // With a memory of its own each time. The one that `abi_stable` shares makes every version that
    // was ever seen agree with every other, and no two plugins ever see each other's values: one that
    // grew oddly would have the next refused.
    let check = |a, b| check_layout_compatibility_with_globals(a, b, &CheckingGlobals::new());
    let Err(e) = check(ours, theirs) else {
        return Ok(());
    };
    check(theirs, ours).map_err(|_| {
        // The whole text is hundreds of lines.
        tracing::debug!("{e}");
        first_difference(&e)
    })
}

fn first_difference(e: &AbiInstabilityErrors) -> String {
    // What contains a difference is reported too, with nothing to say of its own.
    let mut differing = e.errors.iter().filter_map(|at| Some((at, at.errs.first()?)));
    let Some((at, what)) = differing.next() else {
        return "it does not say where".to_owned();
    };
    let path = at.stack_trace.iter().map(|at| match at.found {
        TLFieldOrFunction::Field(field) => field.name(),
        TLFieldOrFunction::Function(function) => function.name.as_str(),
    });
    // Without the tuple fields and return values in between, which nobody has named.
    let mut path: Vec<_> = path.filter(|name| *name != "0" && !name.starts_with("__")).collect();
    path.dedup();
    let path = path.join(".");
    let what = match what {
        AbiInstability::Name(ExpectedFound { expected, found }) => {
            format!("expected `{}`, found `{}`", expected.name(), found.name())
        }
        AbiInstability::UnexpectedField(ExpectedFound { expected, found }) => {
            format!("expected a field `{}`, found `{}`", expected.name(), found.name())
        }
        // The variant's name; what follows it is a page.
        other => {
            let other = format!("{other:?}");
            other.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned()
        }
    };
    if path.is_empty() {
        return format!("{what} at the root");
    }
    format!("{what} at `{path}`")
}
