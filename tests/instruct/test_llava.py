"""LLaVA conversations in Strefer's conventions: regions in 32 sampled frames, times as 32 tokens."""

from __future__ import annotations

import json
import re
from fractions import Fraction
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pycocotools import mask as coco

from instruct.dataset import write
from instruct.formats import LLAVA
from instruct.formats.jsonl import read
from instruct.formats.sampled import sample_times_us
from instruct.formats.timetokens import TOKENS, blurred, nearest, tokens
from instruct.make import Options
from instruct.pair import Claim, Pair
from instruct.read import check
from instruct.verify import _read_times
from stream.cli import main
from stream.events import Event
from tests.instruct.streams import STEP_US, Actor, Told, _bodies
from tests.instruct.test_formats import event_masks, put, told


def made(source: Told, folder: Path) -> tuple[list[Pair], dict[str, list[dict]], str]:
    """The pairs of a stream, the records of each convention, the card."""
    path = put(folder, source.events)
    write(check([path]), folder / "out", Options(mix=None, per_minute=100_000), names=("jsonl", *LLAVA), shard_pairs=40)
    records = {
        name: [r for s in sorted((folder / "out" / name).iterdir()) for r in json.loads(s.read_text())]
        for name in LLAVA
    }  # fmt: skip
    return read(folder / "out" / "jsonl"), records, (folder / "out" / "README.md").read_text()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Pair], dict[str, list[dict]], str]:
    return made(told(), tmp_path_factory.mktemp("made"))


def number(k: int, frames: int) -> int:
    """The frame of a sample, as NumPy spreads them."""
    return int(np.round(np.linspace(0, frames - 1, 32)[k]))


def test_regions_are_masks_of_sampled_frames(written: tuple[list[Pair], dict[str, list[dict]], str]) -> None:
    pairs, records, card = written
    masks = event_masks()
    usual = {(r["id"], k): v for r in records["llava"] for k, v in enumerate(r["annotation"])}
    assert len(records["llava-32"]) == len(pairs)
    assert "llava-32:" not in card
    for record, pair in zip(records["llava-32"], pairs, strict=True):
        assert [t["value"] for t in record["conversations"]] == [f"<image>\n{pair.question}", pair.answer]
        for n, (shown, region) in enumerate(zip(record["annotation"], pair.regions, strict=True)):
            ((k, mask),) = shown.items()
            frame = number(int(k), 120)
            assert mask["segmentation"]["counts"] == masks[region.entity, frame * STEP_US].rle.counts
            assert coco.area(mask["segmentation"]) > 0
            others = [number(i, 120) for i in range(32) if (region.entity, number(i, 120) * STEP_US) in masks]
            ((usual_number, _),) = usual[pair.id, n].items()
            assert abs(frame - int(usual_number)) == min(abs(f - int(usual_number)) for f in others)


def test_a_region_in_no_sampled_frame_is_left_out(tmp_path: Path) -> None:
    """Of 600 frames every nineteenth is a sample; a dog is in sight for twelve in between."""
    person = Actor(1, "person", "the person in a white top", [(2, 2, 10, 20)] * 600, ["jumps"] * 300 + [""] * 300)
    assert not {number(k, 600) for k in range(32)} & set(range(311, 328))
    dog = Actor(2, "dog", "the brown dog", [None] * 313 + [(30, 8, 40, 16)] * 12 + [None] * 275, [""] * 600)
    source = Told(600, [person, dog], [])
    source.events = [Event("feed", 0, n, body) for n, body in enumerate(_bodies(source, 15))]
    pairs, records, card = made(source, tmp_path)
    about = {p.id for p in pairs if any(r.entity == 2 for r in p.regions)}
    assert about
    missing = {p.id for p in pairs} - {r["id"] for r in records["llava-32"]}
    assert about <= missing
    assert all(p.form == "yesno" for p in pairs if p.id in missing - about)
    said = [r["conversations"][1]["value"].partition(",")[0] for r in records["llava-32"]]
    assert said.count("Yes") == said.count("No") > 0
    assert f"| in llava-32: no mask of the region in a sampled frame | {len(missing)} |" in card
    assert len(records["llava"]) == len(pairs)


@given(st.integers(0, 10**9), st.integers(2, 10_000), st.sampled_from(["10/1", "24/1", "30000/1001", "60/1", "0/1"]))
def test_samples_are_frames_of_the_clip(start: int, frames: int, rate: str) -> None:
    fps = Fraction(rate) or Fraction(30)
    times = sample_times_us(start, start + round(frames * 1_000_000 / fps), rate)
    assert len(times) == 32
    assert times[0] == start
    assert abs(times[-1] - start - (frames - 1) * 1_000_000 / fps) <= 1
    for k, t in enumerate(times):
        shown = (t - start) * fps / 1_000_000
        assert abs(shown - round(shown)) < Fraction(1, 1000)
        assert abs(round(shown) - int(np.linspace(0, frames - 1, 32)[k])) <= 1, "a sampler that cuts is next to it"


def test_times_become_tokens(written: tuple[list[Pair], dict[str, list[dict]], str]) -> None:
    """As many as the checker reads in the text, each within a 62nd of the clip and the text's own rounding."""
    pairs, records, card = written
    replaced = 0
    by_id = {r["id"]: r for r in records["llava-tokens"]}
    assert [r["annotation"] for r in records["llava"] if r["id"] in by_id] == [r["annotation"] for r in by_id.values()]
    for pair in pairs:
        if pair.id not in by_id:
            continue
        for exact, turn in zip((pair.question, pair.answer), by_id[pair.id]["conversations"], strict=True):
            text = turn["value"].removeprefix("<image>\n")
            found = re.findall(r"<t(\d+)>", text)
            if any(c.kind == "lasts" for c in pair.claims):
                assert text == exact
                continue
            assert not _read_times(text)
            length = pair.end_us - pair.start_us
            for k, (us, _) in zip(map(int, found), _read_times(exact), strict=True):
                assert abs(k * length / 31 - min(us, length)) <= length / 62 + 1
            replaced += len(found)
    assert replaced > 100
    both = {r["id"]: r["conversations"] for r in records["llava-32-tokens"]}
    assert both == {i: r["conversations"] for i, r in by_id.items()}
    assert len(by_id) == len(pairs) or "in llava-tokens: times that differ have one token" in card


@given(st.integers(0, 10**8), st.integers(1_000_000, 10**8))
def test_a_token_is_within_a_62nd(us: int, length: int) -> None:
    assume(us <= length)
    k = nearest(us, length)
    assert 0 <= k <= 31
    assert abs(Fraction(k * length, 31) - us) <= Fraction(length, 62)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("At 00:18, what is it doing?", "At <t18>, what is it doing?"),
        ("from 00:00.0 to 00:18.4.", "from <t0> to <t18>."),
        ("01:00", "<t31>"),
        ("At 18 s, 18.4 s and 18 seconds", "At <t18>, <t18> and <t18>"),
        ("at 1 second.", "at <t1>."),
        ("(A) From 2 s to 3.6 seconds\n(B) From 00:04 to 00:05", "(A) From <t2> to <t4>\n(B) From <t4> to <t5>"),
        ("2 people, 18 seats, 3 segments, 5 secondary", "2 people, 18 seats, 3 segments, 5 secondary"),
        ("in 2024:05:06, v1.5 s", "in 2024:05:06, v1.5 s"),
        ("31.4 s", "<t31>"),
    ],
)
def test_each_way_to_write_a_time(text: str, said: str) -> None:
    """In a clip of 31 seconds token k is second k."""
    assert tokens(text, 31_000_000) == said
    assert len(set(TOKENS)) == 32


def test_times_that_tokens_make_the_same_are_left_out() -> None:
    pair = Pair(
        feed="f", video="", start_us=0, end_us=310_000_000, width=1, height=1, rate="10/1", group="time",
        family="when", form="yesno", question="Is it there at 20 s?", answer="Yes, at 20 s.", options=[], regions=[],
        names=[], claims=[Claim(kind="seen")], evidence=[],
    )  # fmt: skip
    twin = msgspec.structs.replace(pair, question="Is it there at 24 s?", answer="No, at 24 s.")
    far = msgspec.structs.replace(pair, question="Is it there at 60 s?")
    assert blurred([pair, twin])
    assert not blurred([pair, far])
    assert not blurred([pair, pair]), "twins that differ in whom they show"
    assert blurred([msgspec.structs.replace(pair, form="choice", options=["At 20 s", "At 24 s"])])
    assert not blurred([msgspec.structs.replace(pair, form="choice", options=["At 20 s", "At 60 s"])])


def test_a_convention_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is added to a dataset has the conventions that it has."""
    source, out = put(tmp_path, told().events), tmp_path / "out"
    command = ["instruct", str(source), "--out", str(out), "--quiet", "--formats"]
    assert main([*command, "llava-32"]) == 0
    assert sorted(p.name for p in out.iterdir() if p.is_dir()) == ["llava-32"]
    assert main([*command, "llava", "--add"]) == 2
    assert "holds llava-32: --add wants the same --formats" in capsys.readouterr().err
    assert main([*command, "llava-31", "--fresh"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
