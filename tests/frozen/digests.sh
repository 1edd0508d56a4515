#!/bin/sh
# The digest of every file of the frozen plugin.
set -eu
cd "$(dirname "$0")/plugin-1.0"
find . -type f | LC_ALL=C sort | xargs sha256sum
