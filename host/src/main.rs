//! The `longshore` binary.

#[expect(
    clippy::disallowed_methods,
    reason = "this is `main`; a plugin's thread may never end by itself"
)]
fn main() {
    std::process::exit(longshore::cli::run().code());
}
