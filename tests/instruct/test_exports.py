"""`strefer export`: what each format holds, decoded as its readers do it, is what the events hold, pixel by pixel."""

from __future__ import annotations

import gc
import json
from fractions import Fraction
from pathlib import Path

import av
import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from pycocotools import mask as coco

from bench.layouts import sav as sav_layout
from bench.layouts import ytvis as ytvis_layout
from instruct.export import NAMES, exporter, file_name
from instruct.export.masks import Masks, masks_of
from instruct.export.sav import empty
from stream import events as ev
from stream.cli import main
from stream.events import Event
from tests.instruct import exported as exported_masks
from tests.instruct.exported import READERS, Pixels, expected, from_cvat, named, odd, pixels
from tests.instruct.streams import SIZE, Told, _bodies, _mask, streams
from tests.instruct.test_formats import put, told
from tests.running import follow


def exported(form: str, files: dict[str, list[Event]], folder: Path, *arguments: str) -> Path:
    sources = []
    for name, events in files.items():
        (folder / "in" / file_name(name)).mkdir(parents=True)
        sources.append(put(folder / "in" / file_name(name), events))
    out = folder / "out"
    assert main(["export", *map(str, sources), "--format", form, "--out", str(out), *arguments]) == 0
    return out


def held(form: str, truth: Pixels) -> Pixels:
    """The part of the truth that a format has room for."""
    return {k: v for k, v in truth.items() if k[0] == 1} if form == "mots" else truth


@pytest.mark.parametrize("form", NAMES)
@pytest.mark.parametrize("feed", ["feed", "door/1 left", "../../up", "Tür", ".hidden", "<&>'\""])
def test_masks_are_the_events(form: str, feed: str, tmp_path: Path) -> None:
    events = odd()
    truth = expected(events)
    assert truth[1, 3] == np.ones(SIZE, np.bool_).tobytes()
    assert {entity for entity, i in truth if i == 47} == {1, 2}
    out = exported(form, {feed: named(events, feed)}, tmp_path, *(["--every", "1"] * (form == "sav")))
    assert READERS[form](out, feed) == held(form, truth)
    written = [p for p in tmp_path.rglob("*") if p.is_file() and "in" not in p.relative_to(tmp_path).parts]
    assert all(p == out or out in p.parents for p in written)


@pytest.mark.parametrize("form", NAMES)
def test_several_feeds_one_of_them_empty(form: str, tmp_path: Path) -> None:
    """The empty one has segments and frames, nobody in sight."""
    nobody = Told(30, [], [])
    empty_feed = [Event("nobody", 0, n, body) for n, body in enumerate(_bodies(nobody, 15))]
    files = {"one": named(told().events, "one"), "nobody": empty_feed, "two/2": named(odd(), "two/2")}
    out = exported(form, files, tmp_path, *(["--every", "1"] * (form == "sav")))
    for name, events in files.items():
        assert READERS[form](out, name) == held(form, expected(events)), name


@settings(max_examples=25, deadline=None)
@given(made=streams(longest=60))
def test_random_streams(tmp_path_factory: pytest.TempPathFactory, made: Told) -> None:
    truth = expected(made.events)
    folder = tmp_path_factory.mktemp("random")
    masks = masks_of("feed", made.events)
    for form in ("ytvis", "sav", "cvat", "fiftyone"):
        out = folder / form
        if form != "ytvis":
            out.mkdir()
        writer = exporter(form, out, every=1)
        writer.add(masks)
        writer.close()
        assert READERS[form](out, "feed") == truth, form


@pytest.mark.slow
def test_what_a_worker_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Real masks, of a person who leaves and comes back, some of them revised."""
    events = follow("synthetic:exit-reentry?seconds=4&size=320x180&fps=8", tmp_path / "log")
    assert any(isinstance(e.body, ev.EntityReentered) for e in events)
    assert any(isinstance(e.body, ev.MaskletRevised) for e in events)
    monkeypatch.setattr(exported_masks, "SIZE", (180, 320))
    monkeypatch.setattr(exported_masks, "STEP_US", 125_000)
    truth = expected(events)
    assert len(truth) > 40
    for form in ("ytvis", "sav", "cvat", "fiftyone"):
        out = exported(form, {"feed": events}, tmp_path / form, *(["--every", "1"] * (form == "sav")))
        assert READERS[form](out, "feed") == truth, form


def test_sav_is_read_by_its_layout(tmp_path: Path) -> None:
    """Every fourth frame, as bench/layouts reads it, over a video of as many frames."""
    events = odd()
    out = exported("sav", {"feed": events}, tmp_path)
    with av.open(out / "feed.mp4", "w") as container:
        track = container.add_stream("mpeg4", rate=10)
        track.width, track.height = SIZE[1], SIZE[0]
        for _ in range(120):
            container.mux(track.encode(av.VideoFrame.from_ndarray(np.zeros((*SIZE, 3), np.uint8))))
        container.mux(track.encode(None))
    (case,) = sav_layout.read(out, Fraction(10))
    entity = dict(enumerate(json.loads((out / "feed_manual.json").read_text())["entity"], 1))
    found = {
        (entity[e], i): pixels({"size": SIZE, "counts": c})
        for i, frame in enumerate(case.truth) for e, c in (frame or {}).items()
    }  # fmt: skip
    assert found == {k: v for k, v in expected(events).items() if k[1] % 4 == 0}
    assert [i for i, frame in enumerate(case.truth) if frame is not None] == list(range(0, 120, 4))


def test_sav_figures(tmp_path: Path) -> None:
    meta = json.loads((exported("sav", {"feed": told().events}, tmp_path) / "feed_manual.json").read_text())
    assert (meta["video_height"], meta["video_width"], meta["video_frame_count"]) == (*SIZE, 120)
    assert meta["video_duration"] == 12.0
    assert len(meta["masklet"]) == 30
    assert meta["masklet_frame_count"] == [30, 30]
    assert meta["masklet_first_appeared_frame"] == [0, 0]
    assert meta["masklet_visibility_changes"] == [0, 2]
    areas = [8 * 18, (10 * 10 * 8 + 12 * 9 * 8) / 22]
    assert meta["masklet_size_abs"] == areas
    assert meta["masklet_size_rel"] == [a / (24 * 48) for a in areas]
    assert meta["masklet_size_bucket"] == ["small", "small"]
    assert meta["category"] == ["person", "dog"]


@pytest.mark.parametrize("pixels", [1, 15, 16, 31, 32, 511, 512, 1280 * 720, 3840 * 2160])
def test_an_empty_mask(pixels: int) -> None:
    code = coco.frPyObjects({"size": [pixels, 1], "counts": [pixels]}, pixels, 1)
    assert empty(pixels) == code["counts"].decode()


def test_ytvis_is_read_by_its_layout_and_by_pycocotools(tmp_path: Path) -> None:
    """The same as COCO's own reader does with annotation files, a track an annotation."""
    from pycocotools.coco import COCO

    events = odd()
    out = exported("ytvis", {"a": named(events, "a"), "b": named(events, "b")}, tmp_path)
    (tmp_path / "instances.json").write_bytes(out.read_bytes())
    cases = ytvis_layout.read(tmp_path, Fraction(10))
    truth = expected(events)
    for case in cases:
        found = {(e, i): pixels({"size": SIZE, "counts": c})
                 for i, f in enumerate(case.truth) for e, c in (f or {}).items()}  # fmt: skip
        assert found == truth
    reader = COCO()
    reader.dataset = json.loads(out.read_text())
    reader.dataset["images"] = reader.dataset["videos"]
    for a in reader.dataset["annotations"]:
        a["image_id"] = a["video_id"]
    reader.createIndex()
    assert [c["name"] for c in reader.loadCats(reader.getCatIds())] == ["person", "dog"]
    assert len(reader.getAnnIds(imgIds=[2], catIds=[2])) == 1


def test_a_rate_that_varies_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    events = told().events
    first = msgspec.structs.replace(events[0].body, rate="7/1")  # type: ignore[type-var]
    events[0] = msgspec.structs.replace(events[0], body=first)
    out = exported("cvat", {"feed": events}, tmp_path)
    assert "note: feed: its rate varies or is unknown" in capsys.readouterr().err
    assert from_cvat(out, "feed") == expected(events)


@pytest.mark.slow
def test_only_one_feed_is_held_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alive: list[int] = []
    others = [o for o in gc.get_objects() if type(o) is Masks]  # of tests before; others may be proxies

    def counted(feed: str, events: object) -> Masks:
        alive.append(sum(type(o) is Masks for o in gc.get_objects()) - len(others))
        return masks_of(feed, events)  # type: ignore[arg-type]

    monkeypatch.setattr("instruct.export.masks.masks_of", counted)
    exported("ytvis", {name: named(told().events, name) for name in "abc"}, tmp_path)
    assert alive == [0, 0, 0]


def test_names_of_files() -> None:
    feeds = ["door", "door 1", "door/1", "door-1", "Tür", ".x", "..", "", "a" * 300, "日本", "con.txt"]
    names = [file_name(f) for f in feeds]
    assert len({n.lower() for n in names}) == len(feeds)
    assert all(n and "/" not in n and " " not in n and not n.startswith(".") and len(n) < 120 for n in names)
    assert names[0] == "door"


@pytest.mark.parametrize("form", NAMES)
def test_nothing_is_lost_unasked(form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = {"feed": told().events}
    out = exported(form, files, tmp_path)
    again = ["export", str(tmp_path / "in" / "feed"), "--format", form, "--out", str(out)]
    assert main(again) == 2
    assert "--fresh replaces it" in capsys.readouterr().err
    assert main([*again, "--fresh"]) == 0
    assert READERS[form](out, "feed")
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "notes.txt").write_text("mine")
    capsys.readouterr()
    assert main([*again[:-1], str(mine), "--fresh"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert (mine / "notes.txt").read_text() == "mine"
    mine.rename(tmp_path / "new.part")
    assert main([*again[:-1], str(tmp_path / "new"), "--fresh"]) == 2
    assert "in the way and not ours" in capsys.readouterr().err
    assert (tmp_path / "new.part" / "notes.txt").exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in", "new.part", "out"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--format", "ytvis", "--every", "2"], "--every is for --format sav, not ytvis"),
        (["--format", "sav", "--every", "0"], "--every"),
        (["--format", "coco"], "coco"),
        (["--format", "cvat", "--out", "FILE/x"], "cannot write"),
    ],
)
def test_wrong_options_are_one_line(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = put(tmp_path, told().events)
    (tmp_path / "file").touch()
    asked = [a.replace("FILE", str(tmp_path / "file")) for a in arguments]
    if "--out" not in asked:
        asked += ["--out", str(tmp_path / "out")]
    assert main(["export", str(source), *asked]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["annotations.jsonl", "file"]


def test_a_class_with_too_many_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bodies = [e.body for e in told().events]
    crowd = [ev.Masklet(entity=n, start_us=0, frames=[_mask((1, 1, 4, 4), 0)]) for n in range(10, 1010)]
    coming = [ev.EntityAppeared(entity=n, at_us=0, category="car", score=1, bbox=(1, 1, 4, 4)) for n in range(10, 1010)]
    events = [Event("feed", 0, n, b) for n, b in enumerate([*bodies[:-1], *coming, *crowd, bodies[-1]])]
    source = put(tmp_path, events)
    assert main(["export", str(source), "--format", "mots", "--out", str(tmp_path / "out")]) == 2
    assert "over 999 of class 1" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["annotations.jsonl"]
