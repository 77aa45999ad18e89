#!/bin/sh
# Compiles llama.cpp anew, without what pip has kept of it:
#   install/engine.sh .venv/bin
set -eu
here=$(dirname "$0")
pinned=$(mktemp)
trap 'rm -f "$pinned"' EXIT
# The pinned version with its hashes: the line that names it, and those that continue it.
awk '/^llama-cpp-python==/ {on = 1} on {print} on && !/\\$/ {exit}' "$here/../requirements.lock" >"$pinned"
echo "llama.cpp is compiled anew for this machine"
CMAKE_ARGS="${CMAKE_ARGS-$(sh "$here/cmake-args.sh")}" "$1/pip" install --quiet --disable-pip-version-check \
  --force-reinstall --no-cache-dir --no-deps --require-hashes -r "$pinned"
