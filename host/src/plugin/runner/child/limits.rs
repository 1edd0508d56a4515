//! What a runner may use. Only soft limits: a hard one could never be raised again, and `local` starts
//! jobs, which are to have what the host has.

use longshore_plugin_api::wire::SoftLimits;
use rustix::{
    io::Result,
    process::{Resource, Rlimit, getrlimit, setrlimit},
};

use crate::config::RunnerLimits;

pub(super) fn apply(limits: &RunnerLimits) -> Result<()> {
    let core = if limits.core { None } else { Some(0) };
    let wanted = [
        (Resource::Data, Some(limits.memory as u64)),
        (Resource::Nofile, limits.open_files.map(u64::from)),
        (Resource::Core, core),
    ];
    for (resource, wanted) in wanted {
        let Some(wanted) = wanted else { continue };
        let maximum = getrlimit(resource).maximum;
        let current = Some(maximum.map_or(wanted, |maximum| wanted.min(maximum)));
        setrlimit(resource, Rlimit { current, maximum })?;
    }
    Ok(())
}

/// What this process itself may use.
pub(in crate::plugin) fn inherited() -> SoftLimits {
    let soft = |resource| getrlimit(resource).current;
    SoftLimits {
        data: soft(Resource::Data),
        open_files: soft(Resource::Nofile),
        core: soft(Resource::Core),
    }
}
