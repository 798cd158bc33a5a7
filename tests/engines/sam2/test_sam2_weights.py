"""Checkpoints: what loads, and the one line that tells why another does not."""

from __future__ import annotations

import builtins
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from sam2_videos import SIDE

from engines.errors import UserError
from engines.sam2.build import build, network
from engines.sam2.variants import VARIANTS


def saved(base: Any, path: Path, **changed: Any) -> Path:
    torch.save({"model": base.state_dict() | changed}, path)
    return path


@pytest.mark.slow
def test_a_checkpoint_of_the_same_names_and_shapes_loads(base: Any, tmp_path: Path) -> None:
    path = saved(base, tmp_path / "weights.pt")
    other = network("mini", image_size=SIDE, seed=5, weights=path)
    assert all(torch.equal(a, b) for a, b in zip(base.state_dict().values(), other.state_dict().values(), strict=True))


@pytest.mark.slow
def test_what_does_not_fit_is_one_line(base: Any, tmp_path: Path) -> None:
    name = "no_mem_embed"
    missing = base.state_dict()
    del missing[name]
    torch.save({"model": missing}, tmp_path / "missing.pt")
    saved(base, tmp_path / "extra.pt", another=torch.zeros(1))
    saved(base, tmp_path / "shape.pt", **{name: torch.zeros(2)})
    torch.save({"weights": {}}, tmp_path / "key.pt")
    torch.save({"model": []}, tmp_path / "list.pt")
    (tmp_path / "text.pt").write_text("no weights")
    causes = {
        "missing.pt": f"1 weights are missing, first {name}", "extra.pt": "1 weights are unknown, first another",
        "shape.pt": f"{name} is of shape (2,), wanted (1, 1, 256)", "key.pt": "no SAM 2 checkpoint",
        "list.pt": "its model is a list", "text.pt": "no SAM 2 checkpoint", "none.pt": "no SAM 2 weights at",
    }  # fmt: skip
    for file, cause in causes.items():
        with pytest.raises(UserError, match=re.escape(cause)) as told:
            build("mini", image_size=SIDE, weights=tmp_path / file)
        assert "\n" not in str(told.value)
        assert file in str(told.value)


class Trap:
    """Would leave a file behind if it were unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[str, str]]:
        return builtins.open, (str(self.path), "w")


def test_nothing_in_a_checkpoint_is_run(tmp_path: Path) -> None:
    path, left = tmp_path / "trap.pt", tmp_path / "left"
    torch.save({"model": Trap(left)}, path)
    with pytest.raises(UserError, match="no SAM 2 checkpoint"):
        build("mini", image_size=SIDE, weights=path)
    assert not left.exists()


def test_published_variants_take_their_own_file_only(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    path.write_bytes(b"another")
    with pytest.raises(UserError, match=r"not Meta's sam2\.1_hiera_tiny\.pt \(sha256 differs\)"):
        network("tiny", image_size=64, weights=path)
    pinned = [v.sha256 for v in VARIANTS.values() if v.file]
    assert len(set(pinned)) == len(pinned) == 4
    assert all(re.fullmatch("[0-9a-f]{64}", digest or "") for digest in pinned)


def test_a_missing_package_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.split(".")[0] == "sam2":
            raise ImportError("No module named 'sam2'", name="sam2")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match=r"sam2 is not installed: .*--no-deps .*sam2==1.1.0"):
        network("mini")


def test_wrong_names_and_sizes_are_told() -> None:
    with pytest.raises(ValueError, match=r"no SAM 2\.1 variant 'huge'; there are tiny, small"):
        network("huge")
    with pytest.raises(ValueError, match="multiple of 32"):
        network("mini", image_size=100)
    with pytest.raises(ValueError, match="no attention 'quick'; there are auto, masked"):
        build("mini", image_size=SIDE, attention="quick")


def test_drawing_leaves_the_callers_numbers_alone() -> None:
    torch.manual_seed(3)
    wanted = torch.rand(2)
    torch.manual_seed(3)
    network("mini", image_size=SIDE)
    assert torch.equal(torch.rand(2), wanted)
