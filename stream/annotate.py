"""`strefer annotate`: producer, log, worker and events in one process, and a folder a person can open.

The folder's `.strefer/` holds the run: its log, a lock, and what was asked. It can be killed at any moment and run
again: it goes on where it was. The results beside it are written at the end, each whole or not at all.
"""

from __future__ import annotations

import fcntl
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import IO

import msgspec

from engines import lite
from engines.errors import UserError
from instruct.transcript import Row, transcript
from producers.produce import Produced, produce
from producers.sources import Source
from stream import overlay, report
from stream.ask import Models
from stream.chunk import Chunk, ChunkHeader, decode_header
from stream.decode.pyav import PyAVDecoder
from stream.events import Event, decode_message, encode_line
from stream.frames import Frames
from stream.log import ANNOTATIONS, CHUNKS, QUERIES, Log, Message
from stream.log.sqlite import SqliteLog
from stream.mended import Hindsight
from stream.pipeline import Pipeline
from stream.queries import QueryRequest, encode_request
from stream.runtime import settle
from stream.sam import Segments
from stream.story import Story, read
from stream.worker import Done, Worker

RESULTS = ("annotations.jsonl", "overlay.mp4", "report.html", "summary.json")
Tell = Callable[[str, float, float | None], None]
"""Progress: (what is being done, seconds of video done, seconds in all or None)."""


class Ask(msgspec.Struct, frozen=True):
    """What a run was asked for; the same folder cannot serve another."""

    sources: list[str]
    queries: list[str]
    profile: str
    version: str
    chunk_s: tuple[float, float]
    """Longest GOP kept of a file, of a live source: the chunks, and so a resumed producer, depend on it."""
    models: tuple[str, ...] = ()
    """The models that are asked, as role and name; their address may change."""


class EntitySummary(msgspec.Struct, frozen=True):
    entity: int
    category: str
    expression: str
    first_us: int
    last_us: int
    frames: int
    exits: int
    reentries: int
    present_us: list[tuple[int, int]]


class QuerySummary(msgspec.Struct, frozen=True):
    query: str
    text: str
    outcome: str
    entities: list[int]
    score: float
    cues: list[str]


class Summary(msgspec.Struct, frozen=True):
    """summary.json. reason: how the source ended (end, stopped, error). speed: seconds of video a second of work."""

    feed: str
    source: str
    reason: str
    duration_us: int
    frames: int
    engines: list[str]
    missing: list[str]
    entities: list[EntitySummary]
    queries: list[QuerySummary]
    segments: list[tuple[int, int]]
    transcript: list[Row]
    gaps: int
    errors: int
    events: dict[str, int]
    stage_us: dict[str, int]
    speed: float


@dataclass(frozen=True, slots=True)
class Result:
    out: Path
    summary: Summary
    fresh: bool
    """False where the folder was complete before this run."""


class StoppedError(Exception):
    """A run over files was stopped before its end; the same call goes on with it."""


def annotate(
    sources: Sequence[Source],
    out: Path,
    *,
    feed: str,
    networks: Callable[[], lite.Lite],
    segmenter: Callable[[], Segments | None] = lambda: None,
    profile: str = "lite",
    queries: Sequence[str] = (),
    max_chunk_s: float = 10.0,
    live_chunk_s: float = 2.0,
    fresh: bool = False,
    tell: Tell = lambda *_: None,
    stop: threading.Event | None = None,
    models: Models | None = None,
) -> Result:
    """Annotate one feed made of `sources` into the folder `out`. Goes on where a former run was killed.

    Raises UserError where the folder cannot be written, is in use, or holds another run (then `fresh` starts over), and
    StoppedError where `stop` was set before files came to their end. Stopping ends a live source, and its results are
    written.
    """
    home = out / ".strefer"
    models = models or Models()
    asked = tuple(f"{used.role} {used.name}" for used in models.used())
    chunks_s = (max_chunk_s, live_chunk_s)
    ask = Ask([s.identity for s in sources], list(queries), profile, version("strefer-stream"), chunks_s, asked)
    with _claimed(out, home):
        done = _former(out, home, ask, fresh=fresh)
        if done is not None:
            return Result(out, done, fresh=False)
        settle()
        loaded = networks()
        log = SqliteLog(home)
        try:
            _post_queries(log, feed, queries, understood=models.llm is None)
            pipeline = Pipeline(loaded, models=models, segmenter=segmenter())
            produced = _run(log, sources, feed, pipeline, max_chunk_s, live_chunk_s, tell, stop or threading.Event())
            summary = _write(log, feed, out, loaded, produced, tell)
        finally:
            log.close()
        return Result(out, summary, fresh=True)


def _run(
    log: Log, sources: Sequence[Source], feed: str, pipeline: Pipeline, max_chunk_s: float, live_chunk_s: float,
    tell: Tell, stop: threading.Event,
) -> Produced:  # fmt: skip
    """Producer in a thread, worker here, until the worker has seen the feed's end."""
    outcome: list[Produced | BaseException] = []
    live = any(s.live for s in sources)
    reached_s = 0.0
    lengths = [s.seconds for s in sources]
    total = None if None in lengths else sum(s for s in lengths if s is not None)

    def run() -> None:
        try:
            produced = produce(
                sources,
                feed,
                log,
                max_chunk_s=max_chunk_s,
                live_chunk_s=live_chunk_s,
                policy="block",  # a folder holds all of the source, however long it takes
                stop=stop,
                end_when_stopped=live,
            )
            outcome.append(produced)
        except BaseException as e:  # it belongs to the caller, whatever it is
            outcome.append(e)

    thread = threading.Thread(target=run, name="producer", daemon=True)
    thread.start()
    # The folder's lock says that no other worker lives: a killed one's lease need not be waited for long.
    worker = Worker(log, pipeline, PyAVDecoder(), session_s=3.0)

    def finished(done: Done | None) -> bool:
        nonlocal reached_s
        if done is not None:
            reached_s = done.at_us / 1e6
            tell("annotate", reached_s, total)
            ended = done.ended
            return stop.is_set() and not live and not ended
        return bool(outcome) and log.lag("strefer", CHUNKS) == 0

    try:
        worker.run(until=finished, poll_s=0.05)
    except BaseException:
        stop.set()
        raise
    finally:
        worker.close()
        thread.join(timeout=30)
    result = outcome[0]
    if isinstance(result, BaseException):
        raise result
    if stop.is_set() and not live and (result.reason == "stopped" or log.lag("strefer", CHUNKS)):
        raise StoppedError(f"stopped at {reached_s:.1f} s of video: run the same command again to go on from there")
    return result


def _write(log: Log, feed: str, out: Path, networks: lite.Lite, produced: Produced, tell: Tell) -> Summary:
    """The four results, from the log alone."""

    def said() -> Iterator[Event]:
        return (decode_message(dict(r.headers), r.value) for r in log.read(ANNOTATIONS, key=feed))

    thoughts = Hindsight.of(said())

    def events() -> Iterator[Event]:
        return thoughts.mend(said())

    with _whole(out / "annotations.jsonl") as f:
        for record in log.read(ANNOTATIONS, key=feed):
            f.write(encode_line(dict(record.headers), record.value) + b"\n")
    story = read(events())
    total = story.last_us / 1e6
    pictures = overlay.render(
        _frames(log, feed), events, story, out / "overlay.mp4", lambda at: tell("draw", at / 1e6, total or None)
    )
    with _whole(out / "report.html") as f:
        f.write(report.page(story, pictures, has_overlay=(out / "overlay.mp4").exists()).encode())
    summary = _summary(story, produced.reason, networks)
    with _whole(out / "summary.json") as f:
        f.write(msgspec.json.format(msgspec.json.encode(summary), indent=2))
    return summary


def _frames(log: Log, feed: str) -> Iterator[Frames]:
    """The feed's frames, decoded again from the log's chunks; corrupt ones are left out, as they were by the worker."""
    decoder = PyAVDecoder()
    for record in log.read(CHUNKS, key=feed):
        try:
            header = decode_header(dict(record.headers))
            if isinstance(header, ChunkHeader):
                yield from decoder.decode(Chunk(header, record.value))
        except ValueError:
            continue


def _summary(story: Story, reason: str, networks: lite.Lite) -> Summary:
    work_s = sum(story.stage_us.values()) / 1e6
    return Summary(
        feed=story.feed,
        source=story.started.source if story.started else "",
        reason=reason,
        duration_us=story.ended.at_us if story.ended else story.last_us,
        frames=story.frames,
        engines=[e.name for e in story.started.engines] if story.started else [],
        missing=list(networks.missing),
        entities=[
            EntitySummary(
                e.entity, e.category, e.expression, e.first_us, e.last_us, e.frames, e.exits, e.reentries,
                [(p.start_us, p.end_us) for p in e.presences],
            )
            for _, e in sorted(story.entities.items())
        ],
        queries=[QuerySummary(q.query, q.text, q.outcome, q.entities, q.score, q.cues) for q in story.queries.values()],
        segments=[(s.start_us, s.end_us) for s in story.segments],
        transcript=transcript(story),
        gaps=len(story.gaps),
        errors=len(story.errors),
        events=dict(sorted(story.counts.items())),
        stage_us=dict(sorted(story.stage_us.items())),
        speed=round((story.ended.at_us if story.ended else story.last_us) / 1e6 / work_s, 2) if work_s else 0.0,
    )  # fmt: skip


def _former(out: Path, home: Path, ask: Ask, *, fresh: bool) -> Summary | None:
    """The summary of a complete run of the same ask; None where there is work to do."""
    record = home / "ask.json"
    if fresh:
        for name in RESULTS:
            (out / name).unlink(missing_ok=True)
        for path in home.iterdir():
            if path.name != "lock":
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    if not record.exists():
        strangers = [name for name in RESULTS if (out / name).exists()]
        if strangers:
            raise UserError(
                f"{out / strangers[0]} is there but no run of ours wrote it: choose another --out, or --fresh"
            )
        with _whole(record) as f:
            f.write(msgspec.json.encode(ask))
        return None
    try:
        before = msgspec.json.decode(record.read_bytes(), type=Ask)
    except msgspec.MsgspecError:
        raise UserError(f"{record} is damaged: --fresh starts over") from None
    if before != ask:
        what = next(n for n in Ask.__struct_fields__ if getattr(before, n) != getattr(ask, n))
        raise UserError(f"{out} holds a run with other {what}: --fresh starts over, or choose another --out")
    if not all((out / name).exists() for name in RESULTS if name != "overlay.mp4"):
        return None
    try:
        return msgspec.json.decode((out / "summary.json").read_bytes(), type=Summary)
    except msgspec.MsgspecError:
        return None


def _post_queries(log: Log, feed: str, queries: Sequence[str], *, understood: bool) -> None:
    """The command line's queries, unless a former try posted them already. understood: `parse` has to read them."""
    wanted = {f"{feed}/q{i}": QueryRequest(text) for i, text in enumerate(queries, 1)}
    with log.transaction() as tx:
        for key, request in wanted.items():
            if log.latest(QUERIES, key) is None:
                tx.send(Message(QUERIES, key, encode_request(request, understood=understood)))


@contextmanager
def _claimed(out: Path, home: Path) -> Iterator[None]:
    """The folder is ours alone while we write."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        lock = (home / "lock").open("w")
    except OSError as e:
        raise UserError(f"cannot write to {out}: {e.strerror}; choose another --out") from None
    with ExitStack() as stack:
        stack.enter_context(lock)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UserError(
                f"another strefer annotate is writing to {out}: wait for it, or choose another --out"
            ) from None
        yield


@contextmanager
def _whole(path: Path) -> Iterator[IO[bytes]]:
    """A file that appears only when it is complete."""
    part = path.with_name(path.name + ".part")
    with part.open("wb") as f:
        yield f
    part.replace(path)
