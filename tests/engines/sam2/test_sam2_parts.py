"""Each part of the split against the sam2 package, on the same drawn weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from sam2_videos import SIDE, prompts

from bench import sam2_runs
from engines.sam2.attend import WAYS
from engines.sam2.build import Sam2, build, network
from engines.sam2.encoder import Features

FLOAT32 = 1e-4
"""Greatest difference of anything in float32."""


def far(a: torch.Tensor, b: torch.Tensor) -> float:
    assert a.shape == b.shape
    return float((a.float() - b.float()).abs().max())


@torch.no_grad()
def check_encoder(model: Sam2, base: Any, frames: torch.Tensor) -> float:
    top, mid, high = model.encoder(frames)
    wanted = base.forward_image(frames)["backbone_fpn"]
    return max(far(top, wanted[2].flatten(2).mT), far(mid, wanted[1]), far(high, wanted[0]))


@torch.no_grad()
def check_decoder(model: Sam2, base: Any, frame: torch.Tensor) -> float:
    """With no prompt, and with every kind of prompt, each as the package is called for it."""
    features = Features(*model.encoder(frame))
    grid, worst = model.grid, 0.0
    image = features.top.mT.reshape(1, 256, grid, grid)
    fine = [features.high, features.mid]
    theirs = base._forward_sam_heads(image, None, None, fine, True)
    ours = model.decoder(features.top, features.mid, features.high, *model.decoder.idle(1))
    worst = max(worst, far(ours[0], theirs[3]), far(ours[1], theirs[5]), far(ours[2], theirs[6]))
    for many in (1, 2, 3):
        points = torch.rand(1, many, 2) * model.side
        labels = torch.tensor([[1, 0, 1][:many]], dtype=torch.int32)
        mask = torch.randn(1, 1, 4 * grid, 4 * grid)
        for masked in (False, True):
            given = {"point_coords": points, "point_labels": labels}
            theirs = base._forward_sam_heads(image, given, mask if masked else None, fine, many == 1)
            sparse, dense = model.decoder.embed(points, labels, mask, torch.tensor([masked]))
            one = torch.tensor([many == 1])
            ours = model.decoder(features.top, features.mid, features.high, sparse, dense, one)
            worst = max(worst, far(ours[0], theirs[3]), far(ours[1], theirs[5]), far(ours[2], theirs[6]))
    return worst


@torch.no_grad()
def check_memory(model: Sam2, base: Any, frame: torch.Tensor) -> float:
    """Two objects of one frame, one of them not seen; once tracked, once prompted."""
    features = Features(*model.encoder(frame))
    logits = 5 * torch.randn(2, 1, 4 * model.grid, 4 * model.grid)
    score, first = torch.tensor([[3.0], [-1.0]]), torch.zeros(2, dtype=torch.int64)
    worst = 0.0
    for prompted in (False, True):
        full = torch.nn.functional.interpolate(logits, size=(model.side, model.side), mode="bilinear")
        flat = features.top.expand(2, -1, -1).transpose(0, 1)
        wanted, _ = base._encode_new_memory([flat], [(model.grid, model.grid)], full, score, prompted)
        ours = model.memory(features.top, first, logits, score, torch.tensor([prompted] * 2) if prompted else None)
        worst = max(worst, far(ours, wanted.flatten(2).mT))
    return worst


def recall(base: Any, model: Sam2, memories: int, pointers: int, seed: int) -> dict[str, torch.Tensor]:
    """One object of a past of so many memories (one prompted) and pointers, padded to the most there can be."""
    g = torch.Generator().manual_seed(seed)
    ages = torch.full((model.memories,), -1)
    ages[:memories] = torch.tensor([6, *torch.randperm(6, generator=g)[: memories - 1].tolist()])
    distances = torch.full((model.pointers,), -1)
    distances[:pointers] = torch.tensor([40, *range(1, pointers)])
    return {
        "memory": torch.randn(model.memories, model.grid**2, 64, generator=g),
        "age": ages,
        "pointers": torch.randn(model.pointers, 256, generator=g),
        "distance": distances,
    }


def attended(base: Any, top: torch.Tensor, held: dict[str, torch.Tensor]) -> torch.Tensor:
    """[1, cells, 256]: the package's memory attention over what is held, put together as SAM2Base does it."""
    grid = round(top.shape[1] ** 0.5)
    dummy = torch.zeros(1, 1, grid, grid)
    place = base.image_encoder.neck.position_encoding(dummy).flatten(2).permute(2, 0, 1)
    spot = base.memory_encoder.position_encoding(dummy).flatten(2).permute(2, 0, 1)
    shown = held["distance"] >= 0
    alive = (held["age"] >= 0).nonzero()[:, 0].tolist()
    memory = [held["memory"][i][:, None] for i in alive]
    position = [spot + base.maskmem_tpos_enc[held["age"][i]] for i in alive]
    points = held["pointers"][shown].reshape(-1, 4, 64).reshape(-1, 1, 64)
    from sam2.modeling.sam2_utils import get_1d_sine_pe

    time = base.obj_ptr_tpos_proj(get_1d_sine_pe(held["distance"][shown] / 15, dim=256))
    position.append(time[:, None].repeat_interleave(4, dim=0))
    out = base.memory_attention(
        [top.transpose(0, 1)], torch.cat([*memory, points]), [place], torch.cat(position), len(points)
    )
    return out.transpose(0, 1)


FILLS = ((1, 1), (4, 5), (7, 16))


@torch.no_grad()
def check_attention(model: Sam2, base: Any, frames: torch.Tensor) -> float:
    """Objects of different fill levels and of two frames in one batch, each against the package alone."""
    top = model.encoder(frames)[0]
    held = [recall(base, model, *fill, seed=i) for i, fill in enumerate(FILLS)]
    frame = torch.tensor([0, 1, 0])
    batch = {name: torch.stack([h[name] for h in held]) for name in held[0]}
    ours = model.attention(top, frame, batch["memory"], batch["age"], batch["pointers"], batch["distance"])
    return max(far(ours[i : i + 1], attended(base, top[f : f + 1], held[i])) for i, f in enumerate(frame.tolist()))


CHECKS = (check_encoder, check_decoder, check_memory, check_attention)


@pytest.mark.parametrize("check", CHECKS, ids=lambda c: c.__name__)
def test_a_part_equals_the_packages(check: Any, mini: Sam2, base: Any, frames: torch.Tensor) -> None:
    error = check(mini, base, frames[: 1 if check in (check_decoder, check_memory) else 2])
    print(f"mini 256 {check.__name__}: {error:.1e}")
    assert error <= FLOAT32


@pytest.mark.slow
def test_the_parts_of_tiny_at_512_equal_the_packages() -> None:
    model, base = build("tiny", image_size=512), network("tiny", image_size=512)
    frames = sam2_runs.draw(2, 512)
    for check in CHECKS:
        error = check(model, base, frames[: 1 if check in (check_decoder, check_memory) else 2])
        print(f"tiny 512 {check.__name__}: {error:.1e}")
        assert error <= FLOAT32, check


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_the_ways_to_attend_give_one_result(way: str, base: Any, frames: torch.Tensor) -> None:
    model = build("mini", image_size=SIDE, attention=way)
    error = check_attention(model, base, frames[:2])
    print(f"mini 256 attention by {way}: {error:.1e}")
    assert error <= FLOAT32


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_stays_within_its_bounds(dtype: torch.dtype, mini: Sam2, frames: torch.Tensor) -> None:
    """Greatest difference from float32 in deviations of what is compared: types of 8 and 11 bits."""
    half = build("mini", image_size=SIDE, dtype=dtype, attention="masked")
    bound = {torch.bfloat16: 0.15, torch.float16: 0.02}[dtype]
    with torch.no_grad():
        exact = Features(*mini.encoder(frames[:1]))
        rough = Features(*half.encoder(frames[:1].to(dtype)))
        given = Features(*(t.to(dtype) for t in (exact.top, exact.mid, exact.high)))
        wanted = mini.decoder(exact.top, exact.mid, exact.high, *mini.decoder.idle(1))
        found = half.decoder(given.top, given.mid, given.high, *half.decoder.idle(1))
        held = {k: v[None] for k, v in recall(None, mini, 7, 16, seed=0).items()}
        first = torch.zeros(1, dtype=torch.int64)
        conditioned = [m.attention(f.top, first, *held.values()) for m, f in ((mini, exact), (half, given))]
        made = [m.memory(f.top, first, wanted[0], wanted[2]) for m, f in ((mini, exact), (half, given))]
    pairs = {
        "encoder": (exact.top, rough.top), "decoder": (wanted[0], found[0]),
        "memory attention": tuple(conditioned), "memory encoder": tuple(made),
    }  # fmt: skip
    for name, (a, b) in pairs.items():
        error = far(a, b) / float(a.float().std())
        print(f"mini 256 {name} in {dtype}: {error:.1e} deviations")
        assert error <= bound, name


def test_prompts_say_what_is_wrong_with_them() -> None:
    from engines.sam2.prompt import Prompt

    for wrong in (
        {}, {"points": ((1.0, 2.0),)}, {"points": ((1.0, 2.0),), "labels": (3,)},
        {"box": (0.0, 0.0, 1.0, 1.0), "mask": torch.zeros(4, 4)}, {"mask": torch.zeros(4)},
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"wanted|one of the two"):
            Prompt(**wrong)  # type: ignore[arg-type]
    assert len(prompts(5)) == 5
