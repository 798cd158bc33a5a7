"""Write tests/deploy/rendered: what Kustomize makes of deploy/, for the tests to check without it.

Run as `make manifests`. Takes kustomize or kubectl from the path, else Go, by which it builds kustomize. SHA256SUMS
there says of which sources it was made; tests/deploy holds both to it.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
RENDERED = ROOT / "tests/deploy/rendered"
SUMS = RENDERED / "SHA256SUMS"
WHAT = {
    "cpu": "deploy/overlays/cpu",
    "gpu": "deploy/overlays/gpu",
    "camera-door": "deploy/overlays/camera-door",
    "secure": "tests/deploy/secure",
}
_KUSTOMIZE = "sigs.k8s.io/kustomize/kustomize/v5@v5.7.1"


def command() -> list[str]:
    """What renders a folder that is named behind it."""
    if shutil.which("kustomize"):
        return ["kustomize", "build"]
    if shutil.which("kubectl"):
        return ["kubectl", "kustomize"]
    if shutil.which("go"):
        return ["go", "run", _KUSTOMIZE, "build"]
    sys.exit("render_manifests: wants kustomize, kubectl or Go on the path")


def sums() -> str:
    """sha256 of every source and every rendered file, as `sha256sum` writes it."""
    files = [
        *(ROOT / "deploy").rglob("*.yaml"),
        *(ROOT / "deploy").rglob("*.json"),
        *(ROOT / "tests/deploy/secure").glob("*.yaml"),
    ]
    files += RENDERED.glob("*.yaml")
    names = sorted(path.relative_to(ROOT).as_posix() for path in files)
    return "".join(f"{hashlib.sha256((ROOT / name).read_bytes()).hexdigest()}  {name}\n" for name in names)


def main() -> None:
    RENDERED.mkdir(exist_ok=True)
    for name, folder in WHAT.items():
        done = subprocess.run([*command(), folder], cwd=ROOT, capture_output=True, check=False)
        if done.returncode:
            sys.exit(f"render_manifests: {folder}: {done.stderr.decode(errors='replace').strip()}")
        (RENDERED / f"{name}.yaml").write_bytes(done.stdout)
    SUMS.write_text(sums(), "utf-8")
    print(RENDERED, file=sys.stderr)


if __name__ == "__main__":
    main()
