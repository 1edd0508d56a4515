//! The smallest host: loads each plugin that is named into this one process, opens an executor of it
//! without settings and says what it is.
//!
//! ```text
//! cargo run --package longshore-plugin-api --example loader --features load -- target/debug/libacme.so
//! ```
#![expect(clippy::print_stdout, reason = "it is what it is for")]

use std::{env, error::Error, path::Path};

use longshore_plugin_api::{
    Error as PluginError,
    abi::{
        Answer, HostApi, HostApi_TO,
        abi_stable::{
            sabi_trait::TD_Opaque,
            std_types::{RResult, RStr},
        },
    },
    load::load,
    wire::{Open, Verb},
};

/// A host that listens to nothing.
struct Deaf;

impl HostApi for Deaf {
    fn log(&self, _: u8, _: RStr<'_>, _: RStr<'_>, _: RStr<'_>) {}

    fn tell(&self, _: RStr<'_>, _: RStr<'_>) -> Answer {
        RResult::RErr(PluginError::unsupported("nobody listens").into())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    for file in env::args_os().skip(1) {
        let loaded = load(Path::new(&file))?;
        let request = serde_json::to_string(&Open {
            executor: "loader".to_owned(),
            config: serde_json::json!({}),
            log_level: "off".to_owned(),
            state_dir: None,
            config_dir: None,
            soft_limits: None,
        })?;
        let host = HostApi_TO::from_value(Deaf, TD_Opaque);
        let executor = loaded.root.open()(host, request.into());
        let executor = executor.into_result().map_err(PluginError::from)?;
        let facts = executor.ask(Verb::Facts.name().into(), "null".into());
        let facts = facts.into_result().map_err(PluginError::from)?;
        let about = &loaded.description;
        let said = format!("{} {} of API {}: {facts}", about.name, about.version, about.api);
        println!("{said}");
    }
    Ok(())
}
