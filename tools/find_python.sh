#!/bin/sh
# Print the path of a Python 3.11 or 3.12 that can make a virtual environment. A pyenv shim may be there and not work,
# so each candidate is run.
for python in python3.11 python3.12 python3 python "$HOME"/.pyenv/versions/3.1[12].*/bin/python; do
    if "$python" -c 'import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' 2>/dev/null
    then
        "$python" -c 'import sys; print(sys.executable)'
        exit 0
    fi
done
echo "no Python 3.11 or 3.12 with venv was found: install one (Debian: python3.11 and python3.11-venv) and call make again" >&2
exit 2
