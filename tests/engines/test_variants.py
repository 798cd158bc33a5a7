"""Lite's networks with a dynamic batch axis, in float16 and int8: real weights, real crops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from frames import BOY, GIRL, frame
from onnx import TensorProto, helper

from engines import compare, variants
from engines.backends.litert import LiteRtEngine, LiteRtSession
from engines.backends.ort import OrtEngine, OrtSession
from engines.building import onnx_file
from engines.cache import Cache
from engines.catalogue import find
from engines.crops import Crop
from engines.errors import UserError
from engines.networks import Network, choose, lite
from engines.opening import How, open_engine, reference
from engines.pose import FACTOR, SIZE, PoseNet
from engines.spec import Arrays
from engines.store import Store
from tests.media import samples
from tests.running import model_folder

NAMES = ("yolox-nano", "blazepose-full", "deeplabv3-voc", "person-reid-0287")


@pytest.fixture(scope="module")
def store() -> Store:
    return Store(Path("/nowhere"), model_folder(), samples())


@pytest.fixture(scope="module")
def networks(store: Store) -> dict[str, Network]:
    return {n.name: n for n in lite(store)}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    return Cache(tmp_path_factory.mktemp("engines"))


@pytest.fixture(scope="module")
def crops(networks: dict[str, Network]) -> dict[str, list[Arrays]]:
    found = {name: list(n.real(3)) if n.real else [] for name, n in networks.items()}
    assert all(len(rows) == 3 for rows in found.values())
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_rows_of_a_batch_are_what_they_are_alone(
    name: str, networks: dict[str, Network], cache: Cache, crops: dict[str, list[Arrays]]
) -> None:
    network = networks[name]
    engine = open_engine(network, How("onnxruntime-cpu"), cache)
    base, singly = reference(network, How("onnxruntime-cpu"))
    assert singly
    both = [*compare.stack(network.spec, crops[name], 3), network.spec.random(0, {"n": 2})]
    for d in compare.differences(engine, compare.RowByRow(base), both):
        assert d.part < 1e-5, d


@pytest.mark.slow
def test_litert_and_onnx_agree_on_real_crops(
    networks: dict[str, Network], cache: Cache, crops: dict[str, list[Arrays]]
) -> None:
    """BlazePose as it came, and as tf2onnx converted it; LiteRT too takes several rows at once, and any number."""
    network = networks["blazepose-full"]
    lite_rt = open_engine(network, How("litert"), cache)
    onnx_one, _ = reference(network, How("litert"))
    batches = compare.stack(network.spec, crops[network.name], 2)
    assert [b["input_1"].shape[0] for b in batches] == [2, 1]
    for d in compare.differences(lite_rt, compare.RowByRow(onnx_one), batches):
        assert d.part < compare.BOUNDS["fp32"], d
    assert network.tflite is not None
    alone = LiteRtSession(network.tflite, threads=2).run(crops[network.name][0]["input_1"])
    found = lite_rt.run(crops[network.name][0])
    assert all((a == found[t.name]).all() for a, t in zip(alone, network.spec.outputs, strict=True))


@pytest.mark.parametrize("backend", ["litert", "onnxruntime-cpu"])
def test_people_of_all_feeds_go_through_blazepose_at_once(
    backend: str, networks: dict[str, Network], cache: Cache
) -> None:
    """The girl and the boy of one clip and the man of another: each as if he were alone."""
    network = networks["blazepose-full"]
    rgb, other = frame("bedroom.mp4", 0), frame("05_default_juggle.mp4", 0)
    whole = np.array([0, 0, other.shape[1], other.shape[0]])
    places = [(rgb, np.array(GIRL)), (rgb, np.array(BOY)), (other, whole)]
    cuts = [Crop.around(box, factor=FACTOR) for _, box in places]
    images = np.stack([c.cut(picture, SIZE) for c, (picture, _) in zip(cuts, places, strict=True)])
    engine = open_engine(network, How(backend), cache)

    class Single:
        backend = engine.backend

        def run(self, x: np.ndarray) -> tuple[np.ndarray, ...]:
            return tuple(engine.run({"input_1": x}).values())

    net = PoseNet(Single())
    for one, image, crop in zip(net.see_many(images, cuts), images, cuts, strict=True):
        alone = net.see(image, crop)
        assert one.crop == crop
        np.testing.assert_allclose(one.landmarks, alone.landmarks, atol=1e-3)
        np.testing.assert_allclose(one.logits, alone.logits, atol=0.05)
        assert one.presence == pytest.approx(alone.presence, abs=1e-5)
    with pytest.raises(ValueError, match="3 images and 2 crops"):
        net.see_many(images, cuts[:2])


def test_a_batch_of_one_that_is_built_in_is_told(networks: dict[str, Network], tmp_path: Path) -> None:
    source = networks["fastestdet"].onnx
    assert source is not None
    assert networks["fastestdet"].spec.batch == ""
    with pytest.raises(UserError, match=r"has a batch of 1 built in .*: Reshape to \[ *24 +2 +1936\]\): it stays at 1"):
        variants.dynamic_batch(source, tmp_path / "out.onnx")


@pytest.mark.parametrize(
    ("axes", "kept", "fits"), [([0, 1], 1, True), ([1], 1, True), (None, 1, False), ([0], 1, False), ([0, 1], 0, False)]
)
@pytest.mark.parametrize("opset", [13, 18])
def test_means_over_the_batch(tmp_path: Path, axes: list[int] | None, kept: int, fits: bool, opset: int) -> None:
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, s]) for n, s in (("x", 3), ("y", 1)))
    told = {"keepdims": kept} | ({"axes": axes} if axes is not None and opset < 18 else {})
    inputs = ["x"] + (["axes"] if axes is not None and opset >= 18 else [])
    node = helper.make_node("ReduceMean", inputs, ["y"], **told)
    constants = [helper.make_tensor("axes", TensorProto.INT64, [len(axes)], axes)] if len(inputs) == 2 and axes else []
    graph = helper.make_graph([node], "g", [x], [y], constants)
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), tmp_path / "a.onnx"
    )
    if not fits:
        with pytest.raises(UserError, match="has a batch of 1 built in"):
            variants.dynamic_batch(tmp_path / "a.onnx", tmp_path / "b.onnx")
        return
    variants.dynamic_batch(tmp_path / "a.onnx", tmp_path / "b.onnx")
    rows = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert (OrtSession(tmp_path / "b.onnx").run(rows)[0] == rows.mean(axis=1, keepdims=True)).all()


def test_opset_13_is_the_same_network(networks: dict[str, Network], cache: Cache, tmp_path: Path) -> None:
    """DeepLab came with Upsample of opset 9, which onnx itself does not convert."""
    network = networks["deeplabv3-voc"]
    base = onnx_file(network, "fp32", cache)
    onnx.save(variants.modernise(onnx.load(base)), tmp_path / "new.onnx")
    new, old = (OrtEngine(network.spec, p, providers=("cpu",)) for p in (tmp_path / "new.onnx", base))
    assert all(d.max_error == 0 for d in compare.differences(new, old, [network.spec.random(0, {"n": 2})]))


@pytest.mark.slow
def test_float16_masks_are_the_same(networks: dict[str, Network], cache: Cache, crops: dict[str, list[Arrays]]) -> None:
    network = networks["blazepose-full"]
    half, full = (open_engine(network, How("onnxruntime-cpu", p), cache) for p in ("fp16", "fp32"))
    for x in crops[network.name]:
        a, b = (e.run(x)["Identity_2"] > 0 for e in (half, full))
        assert (a & b).sum() / (a | b).sum() > 0.99


@pytest.mark.slow
def test_int8_is_smaller_and_runs(networks: dict[str, Network], cache: Cache, crops: dict[str, list[Arrays]]) -> None:
    """And no more is asked: what it does to masks `python -m bench.precision` tells, and docs/engines.md."""
    network = networks["deeplabv3-voc"]
    engine = open_engine(network, How("onnxruntime-cpu", "int8"), cache)
    assert isinstance(engine, OrtEngine)
    assert engine.path.stat().st_size < onnx_file(network, "fp32", cache).stat().st_size / 2
    assert np.isfinite(engine.run(crops[network.name][0])["ResizeBilinear_3"]).all()


def test_missing_onnx(networks: dict[str, Network], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(UserError, match=r"onnx is not installed: pip install '\.\[engines\]'"):
        open_engine(networks["yolox-nano"], How("onnxruntime"), Cache(tmp_path))


def test_litert_refuses_another_network(networks: dict[str, Network]) -> None:
    network = networks["blazepose-full"]
    with pytest.raises(UserError, match="is not blazepose-full"):
        LiteRtEngine(network.spec, model_folder() / find("blazepose-person").path)


def test_choosing(store: Store, tmp_path: Path) -> None:
    here, nowhere = lite(store), lite(Store(tmp_path))
    assert [n.name for n in choose(here, [], store)] == [*NAMES, "fastestdet"]
    assert [n.name for n in choose(here, ["fastestdet", "yolox-nano"], store)] == ["fastestdet", "yolox-nano"]
    assert here[1].forms == ("onnx", "tflite")
    assert choose(nowhere, [], store) == []
    with pytest.raises(UserError, match="no engine 'yolo'; there are yolox-nano, blazepose-full"):
        choose(here, ["yolo"], store)
    with pytest.raises(UserError, match=r"yolox-nano is not on this machine \(.*\): strefer models pull yolox-nano"):
        choose(nowhere, ["yolox-nano"], Store(tmp_path))
    with pytest.raises(UserError, match="has no source to fetch it from: put it into STREFER_MODELS"):
        Store(tmp_path).pull(find("blazepose-full-onnx"))


def test_no_clips_no_real_inputs(networks: dict[str, Network]) -> None:
    bare = {n.name: n for n in lite(Store(Path("/nowhere"), model_folder()))}["yolox-nano"]
    assert bare.real is not None
    assert list(bare.real(3)) == []
    assert bare.calibration is not None
    assert networks["yolox-nano"].calibration is not None
    assert bare.calibration() != networks["yolox-nano"].calibration()  # type: ignore[misc]
