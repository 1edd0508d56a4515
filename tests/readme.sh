#!/usr/bin/env bash
# The README's commands, run as a reader would: in a fresh clone, in an empty folder.
#
#   tests/readme.sh          # or: cargo xtask test readme
#
# What is cloned is what is committed: a file that was forgotten in a commit fails here.
#
# Taken from the README are the commands in its ```sh blocks below a line
# `<!-- run by tests/readme.sh -->`, one a line. Each is run word for word, with one exception: this
# script is itself a step of `cargo xtask test`, which would therefore never end; in the clone that
# command runs its steps "needs" and "format" only. All of its steps are what has called this script.
#
# The clone builds in a directory of its own, `readme` in the target directory. It is kept, so that
# only the first run compiles the dependencies; on a fresh machine everything here is cold.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
CARGO_TARGET_DIR=$(realpath --canonicalize-missing "${CARGO_TARGET_DIR:-$root/target}")/readme
export CARGO_TARGET_DIR
# What the calling cargo says about its own package. A reader has none of it, and build scripts that
# look at it would make cargo build half of the dependencies twice.
for name in $(compgen -e CARGO_PKG_) $(compgen -e CARGO_MANIFEST_); do
    unset "$name"
done

folder=$(mktemp --directory)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
# Without hard links to the original: as far away from it as a clone over the network.
git clone --quiet --no-local "$root" longshore
cd longshore
echo "a fresh clone of $(git rev-parse --short HEAD) in $PWD"

commands=$(awk '
    /^<!-- run by tests\/readme.sh -->$/ { marked = 1; next }
    marked && /^```sh$/                  { inside = 1; marked = 0; next }
    inside && /^```$/                    { inside = 0; next }
    inside && NF                         { sub(/[ \t]+#.*$/, ""); print }
    marked && NF                         { marked = 0 }
' README.md)
for promised in "cargo xtask demo" "cargo xtask test"; do
    if ! grep --quiet --line-regexp --fixed-strings "$promised" <<<"$commands"; then
        echo "readme.sh: README.md does not tell to run \`$promised\` in a marked block" >&2
        exit 1
    fi
done

# Where it sends its readers is there.
while IFS=: read -r page target; do
    if [ ! -e "$(dirname "$page")/$target" ]; then
        echo "readme.sh: $page links to $target, which is not there" >&2
        exit 1
    fi
done < <(git ls-files '*.md' | xargs grep --only-matching --with-filename --perl-regexp '\]\(\K[^)#:\s]+(?=[)#])')

while IFS= read -r command; do
    if [ "$command" = "cargo xtask test" ]; then
        command="cargo xtask test needs format"
    fi
    printf '\n$ %s\n' "$command"
    bash -euo pipefail -c "$command" </dev/null
done <<<"$commands"

# A reader's repository is as clean afterwards as it was before.
if [ -n "$(git status --porcelain)" ]; then
    echo "readme.sh: the README's commands leave files behind:" >&2
    git status --short >&2
    exit 1
fi
echo "readme.sh: every command of the README works in a fresh clone"
