"""Unknown STREFER_ variables are errors, known ones are not."""

from __future__ import annotations

import pytest

from engines.errors import UserError
from engines.store import check_environment


def test_an_unknown_variable_is_named() -> None:
    with pytest.raises(UserError, match=r"STREFER_MODEL is no setting.*STREFER_MODELS"):
        check_environment({"STREFER_MODEL": "x", "HOME": "/"})


def test_known_ones_pass() -> None:
    check_environment({"STREFER_MODELS": "a", "STREFER_CACHE": "b", "STREFERX": "c"})
