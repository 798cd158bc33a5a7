"""Every format read back with what its users read it with, masks exact to the events."""

from __future__ import annotations

import errno
import json
from fractions import Fraction
from pathlib import Path

import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest
from pycocotools import mask as coco

from bench.layouts import ytvis as layout
from engines.errors import UserError
from instruct.dataset import write
from instruct.export.masks import masks_of
from instruct.export.mots import left_out, mots
from instruct.export.ytvis import YtvisExporter
from instruct.formats.features import features
from instruct.formats.jsonl import read
from instruct.formats.llava import frame_number
from instruct.formats.parquet import SCHEMA
from instruct.make import Options
from instruct.pair import Pair
from instruct.read import check
from stream.events import Event, Masklet, MaskletFrame, encode_body, encode_line
from tests.instruct.streams import SIZE, STEP_US, Actor, Told, _bodies


def told() -> Told:
    """A person in sight throughout, a dog that leaves and comes back, over three segments and two chunk sizes."""
    person = Actor(1, "person", "the person in a white top", [(2, 2, 10, 20)] * 120, ["jumps"] * 60 + ["stays"] * 60)
    dog = Actor(2, "dog", "the brown dog", [(30, 8, 40, 16)] * 40 + [None] * 30 + [(31, 8, 40, 16)] * 50, [""] * 120)
    out = Told(120, [person, dog], [50])
    out.events = [Event("feed", 0, n, body) for n, body in enumerate(_bodies(out, 15))]
    return out


def put(folder: Path, events: list[Event]) -> Path:
    path = folder / "annotations.jsonl"
    path.write_bytes(b"".join(encode_line(e.headers(), encode_body(e.body)) + b"\n" for e in events))
    return path


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Pair]]:
    """A dataset in all formats, in shards of 40, and its pairs."""
    folder = tmp_path_factory.mktemp("made")
    path = put(folder, told().events)
    options = Options(mix=None, per_minute=100_000)
    write(check([path]), folder / "out", options, names=("jsonl", "parquet", "llava"), shard_pairs=40)
    return folder / "out", read(folder / "out" / "jsonl")


def event_masks() -> dict[tuple[int, int], MaskletFrame]:
    return {(e.body.entity, f.pts_us): f for e in told().events if isinstance(e.body, Masklet) for f in e.body.frames}


def test_jsonl_keeps_masks_exactly(written: tuple[Path, list[Pair]]) -> None:
    _, pairs = written
    masks = event_masks()
    regions = [r for p in pairs for r in p.regions]
    assert regions
    assert all(masks[r.entity, r.pts_us].rle == r.rle for r in regions)
    assert len({p.id for p in pairs}) == len(pairs) > 80


def test_parquet_holds_the_same(written: tuple[Path, list[Pair]]) -> None:
    out, pairs = written
    shards = sorted((out / "parquet").iterdir())
    assert [pq.read_metadata(s).num_rows for s in shards[:-1]] == [40] * (len(shards) - 1)
    rows = [row for s in shards for row in pq.read_table(s).to_pylist()]
    assert [msgspec.convert(row, Pair) for row in rows] == pairs


def test_the_card_tells_the_fields() -> None:
    """To `datasets`, the same as the Parquet schema does."""
    import datasets
    import yaml

    told_fields = datasets.Features._from_yaml_list(yaml.safe_load(features())["dataset_info"]["features"])
    assert told_fields == datasets.Features.from_arrow_schema(SCHEMA)


def test_datasets_loads_the_folder(written: tuple[Path, list[Pair]], tmp_path: Path) -> None:
    """By the card's own words for where the data lie."""
    import datasets

    out, pairs = written
    loaded = datasets.load_dataset(str(out), cache_dir=str(tmp_path))["train"]
    assert loaded["id"][:] == [p.id for p in pairs]
    assert loaded[0]["claims"][0]["kind"] == pairs[0].claims[0].kind


def test_datasets_loads_lines_alone(tmp_path: Path) -> None:
    """Where there is no Parquet, the card names the lines; what a trainer of another kind reads lies beside them."""
    import datasets

    path = put(tmp_path, told().events)
    write(check([path]), tmp_path / "out", Options(mix=None), names=("jsonl", "llava-32"), shard_pairs=40)
    pairs = read(tmp_path / "out" / "jsonl")
    loaded = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))["train"]
    assert loaded["id"][:] == [p.id for p in pairs]
    counts = [[r["rle"]["counts"] for r in row["regions"]] for row in loaded]
    assert counts == [[r.rle.counts for r in p.regions] for p in pairs]


def test_llava_conversations(written: tuple[Path, list[Pair]]) -> None:
    out, pairs = written
    records = [r for s in sorted((out / "llava").iterdir()) for r in json.loads(s.read_text())]
    assert len(records) == len(pairs)
    for record, pair in zip(records, pairs, strict=True):
        human, gpt = record["conversations"]
        assert (human["from"], gpt["from"]) == ("human", "gpt")
        assert human["value"] == f"<image>\n{pair.question}"
        assert (human["value"] + gpt["value"]).count("<region>") == len(record["annotation"]) == len(pair.regions)
        for shown, region in zip(record["annotation"], pair.regions, strict=True):
            ((number, mask),) = shown.items()
            assert int(number) * STEP_US == region.pts_us
            assert np.array_equal(coco.decode(mask["segmentation"]), coco.decode(msgspec.to_builtins(region.rle)))
        assert (record["start_time"], record["end_time"]) == ("00:00:00.000", "00:00:12.000")


@pytest.mark.parametrize(("rate", "number"), [("30/1", 90), ("30000/1001", 90), ("25/1", 75), ("0/1", 0), ("0/0", 90)])
def test_frame_numbers(rate: str, number: int) -> None:
    assert frame_number(3_003_000 if "1001" in rate else 3_000_000, rate) == (number or 90)


def test_ytvis_is_read_by_its_layout(tmp_path: Path) -> None:
    events = told().events
    writer = YtvisExporter(tmp_path / "instances.json")
    writer.add(masks_of("feed", events))
    writer.close()
    content = (tmp_path / "instances.json").read_text()
    (case,) = layout.read(tmp_path, Fraction(10))
    assert case.size == SIZE
    assert case.categories == {1: "person", 2: "dog"}
    expected = {(e, pts // STEP_US): f.rle.counts for (e, pts), f in event_masks().items()}
    assert {(e, i): c for i, frame in enumerate(case.truth) for e, c in (frame or {}).items()} == expected
    for track in json.loads(content)["annotations"]:
        for code, box, area in zip(track["segmentations"], track["bboxes"], track["areas"], strict=True):
            if code is not None:
                assert list(coco.toBbox(code)) == box
                assert coco.area(code) == area


def test_mots_is_read_by_trackeval(tmp_path: Path) -> None:
    """As truth and as an answer: the two agree in all masks."""
    from trackeval.datasets import MOTSChallenge
    from trackeval.metrics import CLEAR

    masks = masks_of("feed", told().events)
    assert left_out(masks) == ["dog"]
    text = "".join(f"{line}\n" for line in mots(masks))
    truth = tmp_path / "gt" / "MOTS-train" / "feed"
    (truth / "gt").mkdir(parents=True)
    (truth / "gt" / "gt.txt").write_text(text)
    (truth / "seqinfo.ini").write_text("[Sequence]\nname=feed\nseqLength=120\n")
    seqmap = tmp_path / "seqmap.txt"
    seqmap.write_text("name\nfeed\n")
    answers = tmp_path / "trackers" / "MOTS-train" / "ours" / "data"
    answers.mkdir(parents=True)
    (answers / "feed.txt").write_text(text)
    data = MOTSChallenge({
        "GT_FOLDER": str(tmp_path / "gt"), "TRACKERS_FOLDER": str(tmp_path / "trackers"), "SEQMAP_FILE": str(seqmap),
        "TRACKERS_TO_EVAL": ["ours"], "SPLIT_TO_EVAL": "train", "PRINT_CONFIG": False,
    })  # fmt: skip
    raw = data.get_raw_seq_data("ours", "feed")
    sequence = data.get_preprocessed_seq_data(raw, "pedestrian")
    result = CLEAR({"PRINT_CONFIG": False}).eval_sequence(sequence)
    assert (result["CLR_TP"], result["CLR_FN"], result["CLR_FP"], result["IDSW"]) == (120, 0, 0, 0)


def test_a_rate_that_does_not_fit_numbers_frames_by_their_times() -> None:
    events = told().events
    first = msgspec.structs.replace(events[0].body, rate="7/1")  # type: ignore[type-var]
    masks = masks_of("feed", [msgspec.structs.replace(events[0], body=first), *events[1:]])
    assert masks.times_us == [i * STEP_US for i in range(120)]


def test_what_a_run_left_that_was_killed_at_its_end_is_in_nobodys_way(tmp_path: Path) -> None:
    """Between the mark and the removal of the part."""
    files = check([put(tmp_path, told().events)])
    (tmp_path / "out.part" / "jsonl").mkdir(parents=True)
    assert write(files, tmp_path / "out", Options(mix=None), add=True).added


def test_two_runs_do_not_write_one_folder_at_once(tmp_path: Path) -> None:
    files = check([put(tmp_path, told().events)])
    said: list[str] = []

    def meanwhile(_: int) -> None:
        if not said:
            said.append("")
            with pytest.raises(UserError, match="another run") as e:
                write(files, tmp_path / "out", Options(mix=None), add=True)
            said[0] = str(e.value)

    assert write(files, tmp_path / "out", Options(mix=None), add=True, tell=meanwhile).added
    assert said[0]
    assert len(read(tmp_path / "out" / "jsonl")) > 0


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    files = check([put(tmp_path, told().events)])

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(UserError, match="No space left"):
        write(files, tmp_path / "out", Options(mix=None), tell=full)
    assert not (tmp_path / "out.part").exists()
