"""Who may come in: by Host, Origin and token."""

from __future__ import annotations

import hmac

import pytest

from stream.viewer.gate import LOOPBACK, Door


@pytest.mark.parametrize("host", ["localhost", "localhost:8008", "127.0.0.1:8008", "[::1]:8008", "LOCALHOST:80"])
def test_loopback_answers_to_its_names(host: str) -> None:
    assert not Door().refuses_host(host)


@pytest.mark.parametrize(
    "host",
    ["", "evil.example", "evil.example:8008", "127.0.0.1.evil.example", "10.0.0.1", "localhost:80:80", "[::2]:80"],
)
def test_loopback_answers_to_nothing_else(host: str) -> None:
    assert Door().refuses_host(host)


def test_a_door_to_the_network_takes_addresses_but_no_name_it_was_not_given() -> None:
    door = Door(LOOPBACK | {"view.example.org"}, addresses=True, token="t")
    taken = [h for h in ("10.0.0.1:80", "[fe80::1]:80", "view.example.org", "evil.example") if not door.refuses_host(h)]
    assert taken == ["10.0.0.1:80", "[fe80::1]:80", "view.example.org"]


def test_tokens_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def spy(a: bytes, b: bytes) -> bool:
        compared.append((a, b))
        return real(a, b)

    real = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", spy)
    door = Door(token="the-right-one")
    assert [door.refuses_token(t) for t in ("the-right-one", "", "the-right-on", "the-right-onee", "ä")] == [
        False, True, True, True, True,
    ]  # fmt: skip
    assert len(compared) == 5


def test_no_token_wanted() -> None:
    assert not Door().refuses_token("")
