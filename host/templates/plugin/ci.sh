#!/bin/sh
# What has to hold before a release. LONGSHORE is the host's binary, if it is not on the PATH.
set -eu
cd "$(dirname "$0")"
cargo build --release --locked
cargo test --release --locked
"${LONGSHORE:-longshore}" plugin check "${CARGO_TARGET_DIR:-target}/release/lib{{crate}}.so" --with check.toml
