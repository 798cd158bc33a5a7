"""Intersection over union of masks and of boxes, pairwise.

Masks on a CUDA device are multiplied as bytes by Triton (gpu/iou.py), masks in host memory are packed to bits by NumPy;
run-length encoded ones are compared run by run by pycocotools (`kernels.rle.iou`), without decoding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]


def mask_iou(a: Any, b: Any, *, crowd: Sequence[bool] | None = None) -> Any:
    """[M, N] float64 IoU of masks a [M, H, W] and b [N, H, W] bool; 0 where two masks share nothing.

    a, b: NumPy arrays or torch.Tensors of one device, which decides the path; the result is of the same kind and on
        the same device. Equal to `pycocotools.mask.iou`. On a GPU their bytes have to be 0 and 1, as PyTorch's are (a
        uint8 mask of 255 has to be compared, not viewed as bool), and masks under 2**30 pixels.
    crowd: N flags; for a crowd in b the union is a's area alone (COCO's iscrowd).

    Raises ValueError where the shapes or devices do not fit, TypeError where masks are not bool.
    """
    return mask_iou_many([(a, b)], crowd=None if crowd is None else [crowd])[0]


def mask_iou_many(groups: Sequence[tuple[Any, Any]], *, crowd: Sequence[Sequence[bool]] | None = None) -> list[Any]:
    """`mask_iou` of several groups (a, b), of different sizes if need be: the feeds of a batch. On a CUDA device all
    of them go in one launch."""
    crowds = [[False] * len(b) for _, b in groups] if crowd is None else crowd
    if len(crowds) != len(groups):
        raise ValueError(f"{len(groups)} groups have crowd flags for {len(crowds)}: wanted some for each")
    for (a, b), flags in zip(groups, crowds, strict=True):
        if any(str(m.dtype).removeprefix("torch.") != "bool" for m in (a, b)):
            raise TypeError(f"masks are {a.dtype} and {b.dtype}, wanted bool")
        if a.ndim != 3 or b.ndim != 3 or a.shape[1:] != b.shape[1:] or len(flags) != len(b):
            raise ValueError(
                f"masks {tuple(a.shape)} and {tuple(b.shape)} with {len(flags)} crowd flags do not fit: wanted "
                "[M, H, W], [N, H, W] and N"
            )
    if not groups:
        return []
    if len({str(getattr(m, "device", "host")) for pair in groups for m in pair}) > 1:
        raise ValueError("masks lie on several devices: bring them to one")
    if not getattr(groups[0][0], "is_cuda", False):
        return [_like(a, _on_cpu(_host(a), _host(b), flags)) for (a, b), flags in zip(groups, crowds, strict=True)]
    import torch

    from kernels.gpu import iou as gpu

    with torch.cuda.device(groups[0][0].device):
        found = gpu.shared(groups)
    out = []
    for pair, flags in zip(found, crowds, strict=True):
        union = pair.area_a[:, None] + pair.area_b - pair.both
        if any(flags):
            crowd_b = torch.tensor(list(flags), dtype=torch.bool, device=union.device)
            union = torch.where(crowd_b, pair.area_a[:, None], union)
        out.append(pair.both.double() / union.clamp_(min=1))
    return out


def _on_cpu(a: NDArray[np.bool_], b: NDArray[np.bool_], crowd: Sequence[bool]) -> F64:
    if not len(a) or not len(b):
        return np.zeros((len(a), len(b)))
    one, two = _packed(a), _packed(b)
    both = np.stack([np.bitwise_count(row & two).sum(axis=1, dtype=np.int64) for row in one])
    areas = [np.bitwise_count(words).sum(axis=1, dtype=np.int64) for words in (one, two)]
    union = np.where(np.asarray(crowd, bool)[None], areas[0][:, None], areas[0][:, None] + areas[1][None] - both)
    result: F64 = both / np.maximum(union, 1)
    return result


def _packed(masks: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """[N, words] of 64 pixels each."""
    bits = np.packbits(masks.reshape(len(masks), -1), axis=1)
    return np.pad(bits, ((0, 0), (0, -bits.shape[1] % 8))).view(np.uint64)


def _host(masks: Any) -> NDArray[np.bool_]:
    return np.asarray(masks if isinstance(masks, np.ndarray) else masks.numpy(), bool)


def _like(what: Any, result: F64) -> Any:
    if isinstance(what, np.ndarray):
        return result
    import torch

    return torch.from_numpy(result)


def box_iou(a: NDArray[np.floating], b: NDArray[np.floating]) -> F64:
    """[M, N] IoU of boxes a [M, 4] and b [N, 4], x0, y0, x1, y1; 0 where both are empty."""
    both, union, _ = _box_areas(a, b)
    return np.divide(both, union, out=np.zeros_like(both), where=union > 0)


def box_giou(a: NDArray[np.floating], b: NDArray[np.floating]) -> F64:
    """[M, N] generalised IoU (Rezatofighi et al., CVPR 2019), in [-1, 1]: the IoU less the share of the smallest box
    round both that neither holds. It says how far apart boxes are that do not touch."""
    both, union, hull = _box_areas(a, b)
    iou = np.divide(both, union, out=np.zeros_like(both), where=union > 0)
    return iou - np.divide(hull - union, hull, out=np.zeros_like(hull), where=hull > 0)


def _box_areas(a: NDArray[np.floating], b: NDArray[np.floating]) -> tuple[F64, F64, F64]:
    """[M, N] each: what two boxes share, what they cover together, and the smallest box round both, in pixels."""
    a, b = (np.asarray(v, np.float64) for v in (a, b))
    if any(v.size and (v.ndim != 2 or v.shape[1] != 4) for v in (a, b)):
        raise ValueError(f"boxes are of shape {a.shape} and {b.shape}, wanted [M, 4] and [N, 4]")
    a, b = a.reshape(-1, 4), b.reshape(-1, 4)
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    both = np.prod(np.clip(high - low, 0, None), axis=2)
    areas = [np.prod(np.clip(v[:, 2:] - v[:, :2], 0, None), axis=1) for v in (a, b)]
    least, most = np.minimum(a[:, None, :2], b[None, :, :2]), np.maximum(a[:, None, 2:], b[None, :, 2:])
    return both, areas[0][:, None] + areas[1][None] - both, np.prod(np.clip(most - least, 0, None), axis=2)
