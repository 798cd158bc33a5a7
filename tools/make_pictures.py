"""Make the README's pictures from real output: `make pictures`. Wants STREFER_MODELS, STREFER_SAMPLES and chromium.

docs/images/overlay.jpg: frames of overlay.mp4 of two clips. docs/images/report.jpg: a report as a browser shows it.
docs/images/viewer.jpg: the live viewer. docs/images/lookback.jpg: the dog of 01_dog.mp4 as it comes in by the edge.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Browser, Page

from engines.errors import UserError
from engines.store import environment_store
from stream.cli import main as strefer
from tools.browser import chromium

IMAGES = Path(__file__).parents[1] / "docs" / "images"
WIDTH = 560
"""Of one frame in the tiled picture, pixels."""
LARGEST_BYTES = 400_000
REPORT_SIZE = (1100, 2000)
WALL = ("bedroom.mp4", "01_dog.mp4", "12_hideandseek.mp4")

U8 = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Shot:
    """A clip of STREFER_SAMPLES, what to ask of it, and the seconds at which to look."""

    clip: str
    queries: tuple[str, ...]
    at_s: tuple[float, ...]


SHOTS = (
    Shot("bedroom.mp4", ("the girl in the blue skirt", "the boy"), (0.6, 6.1)),
    Shot("01_dog.mp4", ("the dog", "the woman"), (1.0, 5.5)),
)
COMES_IN_S = (3.303, 3.370, 3.436, 3.503, 3.570, 3.637)
"""When the second of SHOTS has the dog come in by the right edge; the detector finds it at the end of it."""


def annotate(clip: Path, queries: tuple[str, ...], out: Path) -> None:
    asked = [word for query in queries for word in ("--query", query)]
    run(["annotate", str(clip), "--out", str(out), *asked])


def frames(video: Path, at_s: tuple[float, ...]) -> list[U8]:
    """The frames shown at these seconds, [H, W, 3] BGR, `WIDTH` wide."""
    found: list[U8] = []
    wanted = list(at_s)
    with av.open(str(video)) as container:
        for frame in container.decode(video=0):
            if wanted and frame.time is not None and frame.time >= wanted[0]:
                image = frame.to_ndarray(format="bgr24")
                height = round(WIDTH * image.shape[0] / image.shape[1])
                found.append(cv2.resize(image, (WIDTH, height), interpolation=cv2.INTER_AREA).astype(np.uint8))
                del wanted[0]
    return found


def coming_in(video: Path) -> U8:
    """The right edge of the frame, at the moments of COMES_IN_S one beside the other."""
    shown = frames(video, COMES_IN_S)
    h, w = shown[0].shape[:2]
    return tiled([[frame[round(0.42 * h) : round(0.86 * h), round(0.7 * w) :] for frame in shown]])


def tiled(rows: list[list[U8]]) -> U8:
    """Rows of frames as one picture; each row has one height."""
    return np.vstack([np.hstack(row) for row in rows])


def screenshot(browser: Browser, report: Path) -> U8:
    width, height = REPORT_SIZE
    page = browser.new_page(viewport={"width": width, "height": height})
    page.goto(report.resolve().as_uri())
    page.wait_for_timeout(2000)
    return picture(page)


def viewer(browser: Browser, samples: Path, folder: Path) -> U8:
    """The viewer over a log of three feeds, at a moment in which both children are in sight."""
    log = ["--log", str(folder)]
    for clip in WALL:
        run(["produce", str(samples / clip), "--feed", clip.removesuffix(".mp4"), "--max-chunk", "1", *log])
    for text in SHOTS[0].queries:
        run(["query", "add", text, "--feed", "bedroom", *log])
    run(["worker", "--drain", *log])
    command = [sys.executable, "-m", "stream.cli", "view", "--port", "0", *log]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            address = server.stdout.readline().split(" at ")[1].strip()
            page = browser.new_page(viewport={"width": 1440, "height": 900}, color_scheme="dark")
            page.goto(f"{address}?feed=bedroom")
            page.wait_for_selector("#stage[data-pts-us]")
            page.locator("#scrubber").focus()
            page.keyboard.press("Home")
            page.keyboard.press("ArrowRight")
            page.locator("#play").click()
            page.wait_for_timeout(3000)
            return picture(page)
        finally:
            server.terminate()


def run(arguments: list[str]) -> None:
    if code := strefer(arguments):
        raise SystemExit(code)


def picture(page: Page) -> U8:
    return np.asarray(cv2.imdecode(np.frombuffer(page.screenshot(), np.uint8), cv2.IMREAD_COLOR), np.uint8)


def save(image: U8, name: str) -> None:
    """As the best JPEG under `LARGEST_BYTES`."""
    for quality in (88, 80, 70, 60, 45):
        data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        if len(data) <= LARGEST_BYTES:
            break
    (IMAGES / name).write_bytes(data.tobytes())
    print(f"{IMAGES / name}: {len(data) // 1000} KB")


def main() -> int:
    samples = environment_store().samples
    if samples is None:
        print("strefer: set STREFER_SAMPLES to the folder of the sample clips", file=sys.stderr)
        return 2
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = []
        for shot in SHOTS:
            annotate(samples / shot.clip, shot.queries, folder / shot.clip)
            rows.append(frames(folder / shot.clip / "overlay.mp4", shot.at_s))
        save(tiled(rows), "overlay.jpg")
        save(coming_in(folder / SHOTS[1].clip / "overlay.mp4"), "lookback.jpg")
        try:
            with chromium() as browser:
                save(screenshot(browser, folder / SHOTS[0].clip / "report.html"), "report.jpg")
                save(viewer(browser, samples, folder / "run"), "viewer.jpg")
        except UserError as e:
            print(f"strefer: {e}", file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
