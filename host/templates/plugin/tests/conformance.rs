//! What every executor promises, tried out on this one.

longshore_plugin_api::conformance!(
    {{crate}}::Commands,
    toml::from_str(include_str!("../check.toml")).expect("check.toml is what the kit understands")
);
