"""Our arm: a case goes the real way, producer -> embedded log -> worker, with its expressions as queries."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from bench.cases import Case
from bench.judge import Answer
from engines.errors import UserError
from engines.lite import Lite
from producers.produce import produce
from producers.sources import open_sources
from stream.ask import Models
from stream.decode.pyav import PyAVDecoder
from stream.events import (
    Event,
    Masklet,
    MaskletRevised,
    QueryAmbiguous,
    QueryBound,
    QueryUnbound,
    decode_message,
)
from stream.log import ANNOTATIONS, CHUNKS, QUERIES, Log, Message
from stream.log.sqlite import SqliteLog
from stream.mended import Hindsight
from stream.pipeline import Pipeline
from stream.queries import QueryRequest, encode_request
from stream.runtime import settle
from stream.worker import GROUP, Worker

FEED = "case"


def answer(case: Case, networks: Lite, folder: Path, models: Models) -> Answer:
    """Follow a case with all its expressions asked from the start. `folder` must be empty."""
    film = case.film(folder / "film.mp4")
    with closing(SqliteLog(folder / "log")) as log:
        _ask(log, case, understood=models.llm is None)
        produce(open_sources([str(film)]), FEED, log)
        settle()
        with closing(Worker(log, Pipeline(networks, models=models), PyAVDecoder())) as worker:
            worker.run(until=lambda done: done is None and log.lag(GROUP, CHUNKS) == 0, poll_s=0.01)
        events = [decode_message(dict(r.headers), r.value) for r in log.read(ANNOTATIONS, key=FEED)]
    return read(case, list(Hindsight.of(events).mend(events)))


def _ask(log: Log, case: Case, *, understood: bool) -> None:
    with log.transaction() as tx:
        for spoken in case.expressions:
            try:
                request = encode_request(QueryRequest(spoken.text), understood=understood)
            except UserError:  # nothing in it is understood: it binds nobody
                continue
            tx.send(Message(QUERIES, f"{FEED}/{spoken.id}", request))


def read(case: Case, events: Sequence[Event]) -> Answer:
    """The answer that a feed's events give: masks by time, and what each query meant in the end."""
    times = np.array(case.times_us)
    masks: list[dict[int, str]] = [{} for _ in times]
    bound: dict[str, tuple[int, ...]] = {}
    candidates: dict[str, tuple[int, ...]] = {}
    for event in events:
        match event.body:
            case Masklet() | MaskletRevised() as body:
                for frame in body.frames:
                    masks[int(np.abs(times - frame.pts_us).argmin())][body.entity] = frame.rle.counts
            case QueryBound() as body:
                bound[body.query] = tuple(body.entities)
                candidates.pop(body.query, None)
            case QueryAmbiguous() as body:
                candidates[body.query] = tuple(body.entities)
                bound.pop(body.query, None)
            case QueryUnbound() as body:
                bound.pop(body.query, None)
                candidates.pop(body.query, None)
            case _:
                pass
    return Answer(masks, bound, candidates)
