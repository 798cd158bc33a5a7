"""A log that is away now and then: the embedded one, whose calls raise `LogAwayError` every so often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from stream.log import Consumer, Log, LogAwayError, Message, Record, Transaction, Writer


class Weather:
    """Of each kind of call every `every`-th raises: with 1 the log is away for good. A recall of a feed reads up to 4
    times in a row: what is to come to an end wants 5 or more."""

    def __init__(self, every: int) -> None:
        self._every = every
        self._asked: Counter[str] = Counter()
        self.raised: list[str] = []

    def ask(self, what: str) -> None:
        self._asked[what] += 1
        if self._asked[what] % self._every == 0:
            self.raised.append(what)
            raise LogAwayError(f"{what}: no broker answers")


class AwayConsumer:
    def __init__(self, consumer: Consumer, weather: Weather) -> None:
        self.inner, self._weather = consumer, weather

    def poll(self, *, max_records: int, timeout_s: float) -> list[Record]:
        self._weather.ask("poll")
        return self.inner.poll(max_records=max_records, timeout_s=timeout_s)

    def assignment(self) -> set[tuple[str, int]]:
        return self.inner.assignment()

    def waiting(self, key: str) -> int:
        return self.inner.waiting(key)

    def rewind(self) -> None:
        self._weather.ask("rewind")
        self.inner.rewind()

    def close(self) -> None:
        self.inner.close()


class AwayTransaction:
    def __init__(self, transaction: Transaction) -> None:
        self._inner = transaction

    def send(self, message: Message) -> None:
        self._inner.send(message)

    def commit_offset(self, consumer: Consumer, record: Record) -> None:
        assert isinstance(consumer, AwayConsumer)
        self._inner.commit_offset(consumer.inner, record)


class AwayLog:
    """`Log`, as far as a worker uses it. A transaction may fail before it is committed and after."""

    def __init__(self, log: Log, weather: Weather) -> None:
        self.inner, self._weather = log, weather

    @contextmanager
    def transaction(self) -> Iterator[AwayTransaction]:
        with self.inner.transaction() as transaction:
            yield AwayTransaction(transaction)
            self._weather.ask("before the commit")
        self._weather.ask("after the commit")

    def writer(self, name: str) -> Writer:
        return self.inner.writer(name)

    def consumer(self, group: str, topics: Sequence[str], *, session_timeout_s: float = 30.0) -> AwayConsumer:
        return AwayConsumer(self.inner.consumer(group, topics, session_timeout_s=session_timeout_s), self._weather)

    def read(self, topic: str, *, key: str | None = None, after: int = -1) -> Iterator[Record]:
        self._weather.ask("read")
        return self.inner.read(topic, key=key, after=after)

    def latest(self, topic: str, key: str) -> Record | None:
        self._weather.ask("latest")
        return self.inner.latest(topic, key)

    def end(self, topic: str, key: str) -> int:
        self._weather.ask("end")
        return self.inner.end(topic, key)

    def table(self, topic: str) -> Mapping[str, bytes]:
        self._weather.ask("table")
        return self.inner.table(topic)

    def lag(self, group: str, topic: str) -> int:
        return self.inner.lag(group, topic)

    def close(self) -> None:
        self.inner.close()


def _is_a_log(log: AwayLog) -> Log:
    """Held by mypy."""
    return log
