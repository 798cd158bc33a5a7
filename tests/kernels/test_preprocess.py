"""Preprocessing: the kernel against PyTorch, PyTorch's way against OpenCV and by hand."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from kernels import preprocess as pre
from kernels.gpu import preprocess as gpu
from kernels.reference.preprocess import to_rgb

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
PLAIN = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


@st.composite
def batches(draw: st.DrawFn) -> list[torch.Tensor | pre.Nv12]:
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))

    def levels(*shape: int) -> torch.Tensor:
        return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator).to(DEVICE)

    found: list[torch.Tensor | pre.Nv12] = []
    for _ in range(draw(st.integers(1, 3))):
        t, h, w = draw(st.integers(1, 2)), draw(st.integers(1, 20)), draw(st.integers(1, 20))
        if draw(st.booleans()):
            found.append(levels(t, h, w, 3))
        else:
            chroma = levels(t, (h + 1) // 2, (w + 1) // 2, 2)
            matrix = draw(st.sampled_from(["bt601", "bt709"]))
            found.append(pre.Nv12(levels(t, h, w), chroma, matrix, draw(st.booleans())))
    return found


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")  # of long reprs
@settings(
    max_examples=5,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(drawn=batches(), side=st.integers(1, 12), letterbox=st.booleans())
def test_kernel_equals_pytorch(
    drawn: list[torch.Tensor | pre.Nv12], side: int, letterbox: bool, guarded: list[torch.Tensor]
) -> None:
    made = gpu.preprocess(drawn, side, PLAIN, letterbox, 114.0, torch.float32)
    hosts = [
        pre.Nv12(b.y.cpu(), b.uv.cpu(), b.matrix, b.full_range) if isinstance(b, pre.Nv12) else b.cpu() for b in drawn
    ]
    wanted = pre.preprocess(hosts, side, normalise=PLAIN, letterbox=letterbox)
    assert float((made.cpu() - wanted).abs().max()) < 0.02


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float16, 2e-3), (torch.bfloat16, 2e-2)])
def test_kernel_types(dtype: torch.dtype, bound: float) -> None:
    frames = torch.arange(2 * 9 * 8 * 3, dtype=torch.uint8).view(2, 9, 8, 3)
    made = gpu.preprocess([frames.to(DEVICE)], 12, pre.IMAGENET, False, 0.0, dtype)
    assert made.dtype == dtype
    wanted = pre.preprocess([frames], 12)
    assert float((made.cpu().float() - wanted).abs().max()) < bound * float(wanted.abs().max())


def test_a_whole_factor_is_the_mean_of_the_pixels_as_triangles_weigh_them() -> None:
    frames = torch.randint(0, 256, (1, 16, 16, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    made = pre.preprocess([frames], 8, normalise=PLAIN)[0, 0]
    weights = np.array([1, 3, 3, 1]) / 8  # a triangle two pixels wide to each side
    inner = frames[0, :, :, 0].numpy().astype(float)
    assert made[3, 4] == pytest.approx(float(weights @ inner[5:9, 7:11] @ weights), abs=1e-4)


def test_letterbox() -> None:
    frames = torch.full((1, 20, 40, 3), 200, dtype=torch.uint8)
    made = pre.preprocess([frames], 16, normalise=PLAIN, letterbox=True, pad=7)[0, 1]
    assert made[:4].unique().tolist() == made[12:].unique().tolist() == [7.0]
    assert torch.allclose(made[4:12], torch.tensor(200.0))
    assert pre.fit((40, 20), 16, letterbox=True) == pre.Fit(16, 8, 0, 4)
    assert pre.fit((40, 20), 16, letterbox=False) == pre.Fit(16, 16, 0, 0)


def test_normalised() -> None:
    made = pre.preprocess([torch.full((1, 4, 4, 3), 100, dtype=torch.uint8)], 4)[0, :, 0, 0]
    assert made.tolist() == pytest.approx([(100 - m) / d for m, d in zip(*pre.IMAGENET, strict=True)], abs=1e-5)


def test_nv12_is_what_opencv_makes_of_it() -> None:
    rng = np.random.default_rng(0)
    rgb = cv2.GaussianBlur(rng.integers(0, 256, (32, 48, 3), np.uint8), (0, 0), 3)
    planar = cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420)
    y, u, v = planar[:32], planar[32:40].reshape(16, 24), planar[40:].reshape(16, 24)
    nv12 = np.concatenate([y, np.stack([u, v], axis=2).reshape(16, 48)])
    wanted = cv2.cvtColor(nv12, cv2.COLOR_YUV2RGB_NV12).astype(np.float32)
    frames = pre.Nv12(torch.from_numpy(y.copy())[None], torch.from_numpy(np.stack([u, v], axis=2))[None], "bt601")
    assert np.abs(to_rgb(frames)[0].permute(1, 2, 0).numpy() - wanted).max() < 2, "OpenCV rounds to whole levels"


@pytest.mark.parametrize(
    ("frames", "says"),
    [(torch.zeros(1, 4, 4, 3), "uint8"), (torch.zeros(4, 4, 3, dtype=torch.uint8), "shape"),
     (pre.Nv12(torch.zeros(1, 4, 4, dtype=torch.uint8), torch.zeros(1, 4, 2, 2, dtype=torch.uint8)), "chroma")],
)  # fmt: skip
def test_refuses(frames: torch.Tensor | pre.Nv12, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        pre.preprocess([frames], 8)
    with pytest.raises(ValueError, match="no frames"):
        pre.preprocess([], 8)
    good = torch.zeros(1, 4, 4, 3, dtype=torch.uint8)
    for options in ({"side": 0}, {"side": 4, "normalise": ((1.0,), (1.0,))}):
        with pytest.raises(ValueError, match="side"):
            pre.preprocess([good], **options)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="matrix"):
        pre.preprocess([pre.Nv12(good[..., 0], good[:, :2, :2, :2], "bt2020")], 8)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="dtype"):
        pre.preprocess([torch.zeros(1, 4, 4, 3, dtype=torch.uint8)], 8, dtype=torch.float64)
