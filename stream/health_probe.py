"""`python -m stream.health_probe [PORT]`: the image's health check. Exit code 1 where /healthz says no or nothing.

Most commands serve no health: where nobody listens there is nothing to say against them. A worker that serves it
listens as long as it lives.
"""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request

PORT = 8080
TIMEOUT_S = 4.0


def probe(port: int, timeout_s: float = TIMEOUT_S) -> str:
    """Why the worker on this machine's port is not well; empty where it is, or where there is none."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://127.0.0.1:{port}/healthz", timeout=timeout_s):
            return ""
    except urllib.error.HTTPError as e:
        with e:
            return str(json.loads(e.read())["reason"])
    except urllib.error.URLError as e:
        return "" if isinstance(e.reason, ConnectionRefusedError) else str(e.reason)
    except OSError as e:
        return str(e)


if __name__ == "__main__":
    said = probe(int(sys.argv[1]) if len(sys.argv) > 1 else PORT)
    sys.exit(said or 0)
