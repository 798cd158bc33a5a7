#!/bin/sh
# Write constraints.txt: what pip takes today for a fresh install of the extras cpu and dev.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$(tools/find_python.sh)" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check -e '.[cpu,dev]'
{
    echo '# What a fresh install of the extras cpu and dev takes. Written by `make constraints`; do not edit.'
    "$folder/venv/bin/pip" freeze --exclude-editable
} >"$folder/constraints.txt"
mv "$folder/constraints.txt" constraints.txt
