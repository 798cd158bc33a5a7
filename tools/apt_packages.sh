#!/bin/sh
# Install the Debian packages that a list names (one a line) where they are missing and we may. `package:command` is
# not needed where the command is there already, whoever brought it.
set -eu
missing=""
if ! command -v dpkg-query >/dev/null; then
    echo "note: this is no Debian; some tests need the like of: $(tr '\n' ' ' <"$1")" >&2
    exit 0
fi
for entry in $(grep -v '^#' "$1"); do
    package=${entry%%:*}
    [ "$entry" = "$package" ] || ! command -v "${entry#*:}" >/dev/null || continue
    dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ]; then
    sudo=""
elif sudo -n true 2>/dev/null; then
    sudo="sudo -n"
else
    echo "note: some tests need Debian packages: sudo apt-get install$missing" >&2
    exit 0
fi
echo "installing$missing" >&2
# shellcheck disable=SC2086 # both are lists of words
{
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -qq -y --no-install-recommends $missing >/dev/null 2>&1 ||
        { $sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $sudo apt-get install -qq -y --no-install-recommends $missing >/dev/null; }
} || echo "note: apt-get could not install$missing; the tests that need them will fail" >&2
