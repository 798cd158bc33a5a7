"""The log against a model of a few lines, under any sequence of operations."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from members import open_spec

from stream.log import ANNOTATIONS, CHUNKS, STATE, Consumer, FencedError, Log, Message, Record

KEYS = st.sampled_from(["a", "b", "c", "d"])
VALUES = st.binary(min_size=0, max_size=3)


class LogMachine(RuleBasedStateMachine):
    """Two handles, up to three members that poll, commit, rewind, leave; each step compared with lists."""

    kind = "sqlite"

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.logs: list[Log] = [open_spec(f"{self.kind}:{self.folder}") for _ in range(2)]
        self.sent: dict[str, list[bytes]] = {}
        self.state: dict[str, bytes] = {}
        self.done: list[tuple[str, bytes]] = []
        self.members: list[Consumer] = []
        self.given: dict[int, list[Record]] = {}

    def teardown(self) -> None:
        for log in self.logs:
            log.close()
        shutil.rmtree(self.folder)

    @rule(which=st.integers(0, 1), pairs=st.lists(st.tuples(KEYS, VALUES), max_size=4), fail=st.booleans())
    def send(self, which: int, pairs: list[tuple[str, bytes]], fail: bool) -> None:
        try:
            with self.logs[which].transaction() as tx:
                for key, value in pairs:
                    tx.send(Message(CHUNKS, key, value))
                    tx.send(Message(STATE, key, value))
                if fail:
                    raise KeyError
        except KeyError:
            return
        for key, value in pairs:
            self.sent.setdefault(key, []).append(value)
            self.state[key] = value

    @precondition(lambda self: len(self.members) < 3)
    @rule(which=st.integers(0, 1))
    def join(self, which: int) -> None:
        self.members.append(self.logs[which].consumer("g", [CHUNKS]))
        self.given[id(self.members[-1])] = []

    @precondition(lambda self: self.members)
    @rule(data=st.data(), most=st.integers(1, 5))
    def poll(self, data: st.DataObject, most: int) -> None:
        member = data.draw(st.sampled_from(self.members))
        records = member.poll(max_records=most, timeout_s=0.0)
        assert len(records) <= most
        assert {(CHUNKS, r.partition) for r in records} <= member.assignment()
        self.given[id(member)] += records

    @precondition(lambda self: self.members)
    @rule(data=st.data(), most=st.integers(1, 5))
    def finish(self, data: st.DataObject, most: int) -> None:
        member = data.draw(st.sampled_from(self.members))
        records, rest = self.given[id(member)][:most], self.given[id(member)][most:]
        with self.logs[0].transaction() as tx:
            for record in records:
                tx.send(Message(ANNOTATIONS, record.key, record.value))
                tx.commit_offset(member, record)
        self.given[id(member)] = rest
        self.done += [(r.key, r.value) for r in records]

    @precondition(lambda self: self.members)
    @rule(data=st.data())
    def rewind(self, data: st.DataObject) -> None:
        member = data.draw(st.sampled_from(self.members))
        member.rewind()
        self.given[id(member)] = []

    @precondition(lambda self: self.members)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        member = data.draw(st.sampled_from(self.members))
        self.members.remove(member)
        void = self.given.pop(id(member))
        member.close()
        if void:
            with pytest.raises(FencedError), self.logs[0].transaction() as tx:
                tx.commit_offset(member, void[0])

    @invariant()
    def agrees(self) -> None:
        log = self.logs[1]
        for key in "abcd":
            assert [r.value for r in log.read(CHUNKS, key=key)] == self.sent.get(key, [])
            newest = log.latest(STATE, key)
            assert (newest.value if newest else b"") == self.state.get(key, b"")
            # Exactly once and in order: what was done is the beginning of what was sent.
            done = [value for k, value in self.done if k == key]
            assert done == self.sent.get(key, [])[: len(done)]
        assert [(r.key, r.value) for r in log.read(ANNOTATIONS)] == self.done
        assert log.lag("g", CHUNKS) == sum(map(len, self.sent.values())) - len(self.done)
        held = [place for member in self.members for place in member.assignment()]
        assert len(held) == len(set(held))


@pytest.fixture(params=[25, pytest.param(300, marks=pytest.mark.slow)], ids=["short", "long"])
def examples(request: pytest.FixtureRequest) -> int:
    count: int = request.param
    return count


def test_the_log_behaves_like_the_model(examples: int) -> None:
    machine: Callable[[], RuleBasedStateMachine] = LogMachine
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
