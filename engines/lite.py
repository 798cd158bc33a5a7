"""Profile `lite`: small networks for any CPU. Each is used when its weights are here and done without otherwise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from engines import imagetext
from engines.backends import Session
from engines.backends.litert import LiteRtSession
from engines.backends.ort import OrtSession
from engines.catalogue import Item, find
from engines.deeplab import SegmentationNet
from engines.detections import Detector
from engines.digest import sha256
from engines.errors import UserError
from engines.fastestdet import FastestDetDetector
from engines.imagetext import ImageTextNet
from engines.person import PersonDetector
from engines.pose import PoseNet
from engines.reid import ReidNet
from engines.store import Store
from engines.work import Tap, as_it_is
from engines.yolox import YoloxDetector

NETWORKS = ("yolox-nano", "blazepose-full", "deeplabv3-voc", "person-reid-0287")
"""What `lite` wants to have; the other detectors of the catalogue stand in for the first."""

IMAGE_TEXT = "imagetext"
"""Folder of an image-text network, which the user brings along: it is in no catalogue, and not missed."""

_DETECTORS: dict[str, Callable[[Session], Detector]] = {
    "yolox-nano": YoloxDetector,
    "fastestdet": FastestDetDetector,
    "blazepose-person": PersonDetector,
}
DETECTORS = tuple(_DETECTORS)
"""The first of them that is here detects."""


@dataclass(frozen=True, slots=True)
class Used:
    """One loaded network: what it does, what runs it, and the sha256 of its file."""

    name: str
    role: str
    backend: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Lite:
    """The networks that are here; None where one is not. `missing`: one line for each that is not, with the mend.
    asked: what the detector was told to look for besides everyday things."""

    detector: Detector | None
    pose: PoseNet | None
    segment: SegmentationNet | None
    reid: ReidNet | None
    used: tuple[Used, ...]
    missing: tuple[str, ...]
    imagetext: ImageTextNet | None = None
    asked: tuple[str, ...] = ()


def load(
    store: Store,
    *,
    threads: int = 2,
    without: frozenset[str] = frozenset(),
    detectors: Sequence[str] = DETECTORS,
    detector: tuple[Detector, Used] | None = None,
    shared: Callable[[str], Session] | None = None,
    tap: Tap = as_it_is,
) -> Lite:
    """Load what is on this machine; nothing is fetched. `without` leaves networks out by name (tests, trials).

    detectors: which of `DETECTORS` may detect, best first. detector: another, loaded by the caller, in their place.
    shared: another way to open a network by its name (`engines.opening.shared`). Where it raises UserError that is a
    line in `missing`, and the network is opened as ever. tap: is shown what is opened here.
    """
    used: list[Used] = [] if detector is None else [detector[1]]
    missing: list[str] = []

    def session(name: str) -> Session | None:
        item = find(name)
        path = None if name in without else store.locate(item)
        if path is None:
            missing.append(f"{name} is left out" if name in without else store.lack(item))
            return None
        ways: list[Callable[[], Session]] = [lambda: tap(name, _open(path, 1 if item.role == "detect" else threads))]
        if shared is not None:
            ways.insert(0, partial(shared, name))
        for way in ways:
            try:
                loaded = way()
            except UserError as e:
                missing.append(str(e))
                continue
            used.append(_used(item, loaded))
            return loaded
        return None

    finds = None if detector is None else detector[0]
    for name in detectors if detector is None else ():
        s = session(name)
        if s is not None:
            finds = _DETECTORS[name](s)
            break
    pose, segment, reid = (session(name) for name in NETWORKS[1:])
    pictures = _image_text(store, threads, used, missing, tap) if IMAGE_TEXT not in without else None
    return Lite(
        finds,
        PoseNet(pose) if pose else None,
        SegmentationNet(segment) if segment else None,
        ReidNet(reid) if reid else None,
        tuple(used),
        tuple(missing),
        pictures,
    )


def _image_text(store: Store, threads: int, used: list[Used], missing: list[str], tap: Tap) -> ImageTextNet | None:
    """The user's image-text network, where there is one; a broken one is a line in `missing`."""
    folder = store.folder(IMAGE_TEXT)
    if folder is None:
        return None
    try:
        files = imagetext.locate(folder)
        if files is None:
            return None
        sums = {part: sha256(path) for part, path in files.items()}
        net, backend = imagetext.load(folder, files, sums["vision"], threads=threads, tap=tap)
    except (UserError, OSError) as e:
        missing.append(str(e))
        return None
    runs = {"vision": backend, "text": backend, "tokenizer": "tokenizers"}
    used += [Used(f"{IMAGE_TEXT}-{part}", "refer", runs[part], sums[part]) for part in files]
    return net


def _open(path: Path, threads: int) -> Session:
    if path.suffix == ".tflite":
        return LiteRtSession(path, threads=threads)
    return OrtSession(path, threads=threads)


def _used(item: Item, session: Session) -> Used:
    return Used(item.name, item.role, session.backend, item.sha256)
