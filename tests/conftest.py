"""A broker for all tests, and the one reason to skip one: it needs a GPU (with STREFER_REQUIRE_GPU=1 a failure)."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from functools import cache

import pytest
from xdist.scheduler import LoadFileScheduling

from tools.kafka.broker import broker

CROWDS = (
    "tests/e2e/test_kafka_",
    "tests/e2e/test_restart.py",
    "tests/e2e/test_viewer_browser.py",
    "tests/log/test_log_processes.py",
)
"""Tests that run many programs at once: one after the other, never two of them beside each other."""


@pytest.fixture(scope="session")
def kafka() -> Iterator[str]:
    """The address of a real Kafka broker. Fails, does not skip, where none can be had."""
    with broker() as address:
        yield address


@cache
def has_cuda() -> bool:
    """Whether the driver finds a GPU; asks the driver itself, so that no test run pays for importing torch."""
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    count = ctypes.c_int()
    return cuda.cuInit(0) == 0 and cuda.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0


if not has_cuda():  # read when Triton is imported, which a test module of any folder may be the first to do
    os.environ["TRITON_INTERPRET"] = "1"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test on a real broker is slow: the broker alone takes as long to start as all quick tests of a file. The
    crowds come first: begun last they would run on one processor while the other had nothing left."""
    items.sort(key=lambda item: not item.nodeid.startswith(CROWDS))
    for item in items:
        if "kafka" in getattr(item, "fixturenames", ()) or "[kafka" in item.name:
            item.add_marker(pytest.mark.slow)


class _OneCrowd(LoadFileScheduling):
    """Files go to whichever process of pytest is free, the crowds all to one."""

    def _split_scope(self, nodeid: str) -> str:
        return "crowds" if nodeid.startswith(CROWDS) else super()._split_scope(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadFileScheduling:
    return _OneCrowd(config, log)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("needs_cuda") is None or has_cuda():
        return
    if os.environ.get("STREFER_REQUIRE_GPU") == "1":
        pytest.fail("needs a CUDA GPU, and STREFER_REQUIRE_GPU=1 says there is one")
    pytest.skip("needs a CUDA GPU")
