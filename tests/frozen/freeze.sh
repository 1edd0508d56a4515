#!/bin/sh
# Freezes the plugin API as it is now into tests/frozen/plugin-1.0. See README.md there: not after 1.0 is
# released.
set -eu
cd "$(dirname "$0")"
frozen=plugin-1.0/plugin-api
rm -rf "$frozen"
mkdir "$frozen"
cp -r ../../plugin-api/Cargo.toml ../../plugin-api/build.rs ../../plugin-api/examples ../../plugin-api/src "$frozen"
# No plugin is built with it, and it is larger than all the rest.
rm -r "$frozen/src/testkit" "$frozen/src/testkit.rs"
./digests.sh >plugin-1.0.sha256
