//! Plugins in a directory, as an operator meets them: each bad file is a row with its reason, and
//! the good ones run beside it.

#[path = "plugins/bench.rs"]
mod bench;
#[path = "plugins/files.rs"]
mod files;
#[path = "plugins/generations.rs"]
mod generations;
#[path = "plugins/inspecting.rs"]
mod inspecting;
#[path = "plugins/linked.rs"]
mod linked;
#[path = "plugins/panics.rs"]
mod panics;
#[path = "plugins/pins.rs"]
mod pins;
#[path = "plugins/running.rs"]
mod running;
