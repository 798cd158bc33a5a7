"""A broker for all tests, and the one reason to skip one: it needs a GPU (with STREFER_REQUIRE_GPU=1 a failure)."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from functools import cache

import pytest

from tools.kafka.broker import broker


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
    """Every test on a real broker is slow: the broker alone takes as long to start as all quick tests of a file."""
    for item in items:
        if "kafka" in getattr(item, "fixturenames", ()) or "[kafka" in item.name:
            item.add_marker(pytest.mark.slow)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("needs_cuda") is None or has_cuda():
        return
    if os.environ.get("STREFER_REQUIRE_GPU") == "1":
        pytest.fail("needs a CUDA GPU, and STREFER_REQUIRE_GPU=1 says there is one")
    pytest.skip("needs a CUDA GPU")
