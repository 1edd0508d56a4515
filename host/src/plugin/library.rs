//! Loads a plugin's code, and says in the host's words why not.

use std::path::Path;

pub(super) use longshore_plugin_api::load::Loaded;
use longshore_plugin_api::{
    load::{self, Refused},
    note::Note,
};

use super::problem::{Code, PluginProblem};

/// Loads the library at `path`, a private copy that has passed the preflight. Blocks for as long as
/// its static constructors do.
pub(super) fn load(path: &Path, note: &Note<'_>) -> Result<Loaded, PluginProblem> {
    let refused = |why| problem(&why, note);
    let loaded = load::load(path).map_err(refused)?;
    loaded.is_of(note).map_err(refused)?;
    Ok(loaded)
}

fn problem(why: &Refused, note: &Note<'_>) -> PluginProblem {
    let code = match why {
        Refused::Linker(_) => Code::Load,
        Refused::NoRoot => Code::NotAPlugin,
        Refused::Header | Refused::NoLayout | Refused::Root(_) => Code::Layout,
        Refused::Layout(first) => {
            let message = format!(
                "its memory layout is not that of plugin API {} ({first}); rebuild it with a released longshore-plugin-api",
                note.api,
            );
            return PluginProblem::new(Code::Layout, message);
        }
        Refused::Describe(_) | Refused::TwoBuilds { .. } => Code::Describe,
    };
    PluginProblem::new(code, why.to_string())
}
