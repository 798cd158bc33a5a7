"""The pipeline: one chunk in, its annotation events out. To follow one frame read `scan.Scanner.frames`, then
`Pipeline._follow`.

The decoder, the scan and following run side by side in three threads, a few frames apart, each in frame order; the
events are the same as if one thread did it all.

Causal (a frame's masks depend on it and earlier frames only, but for the declared look-back), deterministic, bounded.
"""

from __future__ import annotations

import copy
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import cv2
import numpy as np

from engines.crops import F32
from engines.lite import Lite
from kernels import rle
from stream import ask, company, picture, recognize, refer, traits
from stream.ask import Asker, Keyframes, Models
from stream.background import Background
from stream.chunk import Chunk, ChunkHeader
from stream.entity import RIGID, Entity, Traits
from stream.events import (
    TOO_LATE,
    Body,
    ChunkDone,
    EngineUsed,
    EntityAppeared,
    EntityDescribed,
    EntityExited,
    EntityMerged,
    EntityReentered,
    EntitySplit,
    FeedEnded,
    FeedGap,
    FeedStarted,
    Masklet,
    MaskletFrame,
    MaskletRevised,
    QueryUnbound,
    Rle,
)
from stream.expression import Expression
from stream.flow import flow_image, small_image
from stream.frames import Decoder, Frames
from stream.lookback import Followed
from stream.masklets import Masklets
from stream.outline import Outliner
from stream.patch import HALF, Patch
from stream.redraw import sight
from stream.reidentify import Reidentifier
from stream.sam import SamFeeds, SamMasks, Seen, Segments
from stream.scan import Scan, Scanner, Scanning, working_frame
from stream.state import FeedState
from stream.stopwatch import Stopwatch
from stream.transcribe import Transcriber
from stream.view import FollowOptions, View, rounded

FRAGMENT = 4
"""How many times larger than its first mask who is confirmed must be, for that to have been a part of the whole."""


@dataclass(frozen=True, slots=True)
class Options:
    """detect_every_us: time between looks of the detector. look_back_us: how far a new entity is followed back."""

    detect_every_us: int = 166_000
    look_back_us: int = 2_000_000
    follow: FollowOptions = field(default_factory=FollowOptions)


class Pipeline:
    """The stages and the networks they share: profile `lite`, and with a segmenter `sam2`. One pipeline serves many
    feeds, each in a thread of its own; state is passed in.

    models: endpoints that are asked beside; without them nothing leaves the machine. stopwatch: makes what takes the
    time of one chunk's stages.
    """

    def __init__(
        self,
        networks: Lite,
        options: Options | None = None,
        models: Models | None = None,
        segmenter: Segments | None = None,
        stopwatch: Callable[[], Stopwatch] = Stopwatch,
    ) -> None:
        self._o = options or Options()
        self._models = models or Models()
        self._networks = networks
        self._scanner = Scanner(
            networks.detector, detect_every_us=self._o.detect_every_us, asked=networks.asked, stopwatch=stopwatch
        )
        self._background = Background()
        outliner = Outliner(networks.pose, networks.segment)
        self._segmenter = segmenter
        self._sam = None
        if segmenter is not None:
            self._sam = SamFeeds(segmenter, outliner, look_back_us=self._o.look_back_us)
        self._masklets = self._following(outliner)
        self._transcribe = Transcriber()
        self._asker = Asker(self._models.vlm, self._models.llm, actions=self._models.actions)

    def start(self, header: ChunkHeader) -> FeedStarted:
        """The event that opens a feed: what it is and what follows it."""
        turned = header.rotation % 180 != 0
        return FeedStarted(
            at_us=header.start_us,
            codec=header.codec,
            width=header.height if turned else header.width,
            height=header.width if turned else header.height,
            rate=header.rate,
            source=header.source,
            reencoded=header.reencoded,
            profile="lite" if self._segmenter is None else "sam2",
            engines=[EngineUsed(u.name, u.role, u.backend, u.sha256) for u in self._networks.used]
            + ([] if (s := self._segmenter) is None else [EngineUsed(s.name, "segment", s.backend, s.sha256)])
            + self._models.used(),
        )

    def read(self, state: FeedState, text: str, at_us: int) -> tuple[Expression | None, list[Body]]:
        """How a new query's text reads, None for as `parse` reads it, and what is to be told of that. Raises UserError
        where nobody understands it."""
        return self._asker.read(state.ask, text, at_us)

    def scan(self, state: FeedState, frames: Iterable[Frames]) -> Scanning:
        """Begin the first half of the feed's next chunk; it may `follow_on` to the one after that."""
        return self._scanner.begin(state.scan, frames)

    def chunk(self, state: FeedState, header: ChunkHeader, scanning: Scanning) -> list[Body]:
        """Follow the feed through one chunk. What its frames raise (CorruptChunkError) passes through; the state is
        then void."""
        events: list[Body] = []
        if not state.started:
            state.started = True
            events.append(self.start(header))
        state.past.window_us = self._o.look_back_us
        count, watch, shown = 0, scanning.watch, Keyframes()
        with self._masks(state.feed) as masklets:
            for scan in scanning:
                events += self._follow(state, masklets, scan, watch, shown)
                count += 1
        state.scan = scanning.state
        if self._asker.looks:
            with watch("ask"):
                known = {e.id: e for e in (*state.follow.entities, *state.follow.gallery.dormant)}
                events += self._asker.step(state.ask, state.refer, known, shown, state.last_us, state.scan.clip.segment)
        events += self._send(state, header.start_us)
        events.append(
            ChunkDone(
                seq=header.seq,
                frames=count,
                dropped=state.scan.dropped,
                stage_us=watch.us(),
                latency_us=_latency(header),
                start_us=header.start_us,
                end_us=header.start_us + header.duration_us,
            )
        )
        return events

    def warm(self, state: FeedState, chunk: Chunk, decoder: Decoder, *, every: int = 1) -> None:
        """After a restart: fill the look-back with a chunk that was finished before, every `every`-th frame of it."""
        count = 0
        for frames in decoder.decode(chunk):
            for full, pts_us in zip(frames.pixels, frames.pts_us.tolist(), strict=True):
                count += 1
                if state.past_from_us >= 0 and pts_us >= state.past_from_us and (count - 1) % every == 0:
                    state.past.add(pts_us, small_image(working_frame(full).rgb))
        blank = state.scan.clip.cuts.blank
        state.scan.image = flow_image(state.past.images[-1]) if state.past.images and not blank else None

    def release(self, feed: str) -> None:
        """The feed goes on elsewhere, or from what was saved: nothing of it is held beside its state."""
        if self._sam is not None:
            self._sam.release(feed)

    def gap(self, state: FeedState, body: FeedGap) -> list[Body]:
        """The feed was away: everybody in sight is lost to it, and what comes next is another shot."""
        return [*self._pause(state, "gap", body.start_us), body]

    def end(self, state: FeedState, body: FeedEnded) -> list[Body]:
        """The feed is over: close what is open and say which queries found nobody."""
        events = self._pause(state, "end", body.at_us)
        for q in state.refer.queries:
            if not q.said_kind:
                reason = "nobody fits" if q.looked else TOO_LATE
                events.append(QueryUnbound(query=q.id, text=q.text, entities=[], reason=reason))
        state.started = False
        return [*events, body]

    @contextmanager
    def _masks(self, feed: str) -> Iterator[Masklets]:
        """What follows a chunk of a feed: lite's serves all of them, SAM 2's is the feed's own."""
        if self._sam is None:
            yield self._masklets
        else:
            with self._sam.following(feed) as masks:
                yield self._following(masks)

    def _following(self, outliner: Outliner | SamMasks) -> Masklets:
        return Masklets(outliner, self._networks.reid, Reidentifier(), self._o.follow)

    def _follow(
        self, state: FeedState, masklets: Masklets, scan: Scan, watch: Stopwatch, shown: Keyframes
    ) -> list[Body]:
        """The second half: entities, their masks, and what is told of them. shown: what may be asked about."""
        size, full = scan.rgb.shape[:2], scan.full
        if scan.cut:
            state.past.clear()
        state.past.add(scan.pts_us, scan.small)
        with watch("background"):
            now = self._background.step(state.background, scan.small, scan.flow, state.follow.entities)
        with watch("masklets"):
            view = View(
                scan.rgb, scan.pts_us, scan.step_us, scan.flow, scan.cut, scan.found, scan.scale,
                lambda patch, box, others, category: self._background.sharpen(
                    state.background, now, patch, box, others, scan.flow, size, rigid=category in RIGID
                ),
                feed=state.feed, picture=scan.picture, full=full, past=state.past,
            )  # fmt: skip
            changes = masklets.step(state.follow, view)
        with watch("encode"):
            for e in state.follow.entities:
                if e.shown is not None:
                    frame = _frame_of(e, e.shown, scan.pts_us, full, scan.scale, masklets.ready(e))
                    state.follow.frames.setdefault(e.id, []).append(frame)
        state.size, state.scale, state.last_us = size, scan.scale, scan.pts_us
        with watch("lookback"):
            names = {b.merged: b.entity for b in changes if isinstance(b, EntityMerged)}
            for body in changes:
                if isinstance(body, EntityAppeared | EntityReentered):
                    entity = names.get(body.entity, body.entity)
                    self._look_back(state, masklets, entity, body.at_us, scan)
        if self._asker.looks:
            if scan.cut or any(isinstance(body, EntitySplit) for body in changes):
                shown.clear()  # another shot; or boxes so far may be those of others
            if scan.found is not None:
                shown.offer(scan.rgb, _boxes(state.follow.entities), scan.pts_us)
        with watch("describe"):
            return scan.events + self._tell(state, changes, view, scan)

    def _look_back(self, state: FeedState, masklets: Masklets, entity: int, first_us: int, scan: Scan) -> None:
        """Add masks from before this stay's first detection to the entity's unsent frames, or better ones to its first.

        Half in the frame a mask network may take a part for the whole: what it is by now is followed back then.
        """
        e = next((e for e in state.follow.entities if e.id == entity), None)
        first = state.follow.first_patches.pop(entity, None)
        if first is None or e is None:
            return
        traced: list[tuple[int, Patch]] = []
        if e.patch is not None and e.patch.area > FRAGMENT * first.area:
            traced = masklets.trace_back(state.past, Followed(e.category, e.patch, scan.pts_us, None, state.size))
        if not traced or traced[-1][0] > first_us:
            traced += masklets.trace_back(state.past, Followed(e.category, first, first_us, e.patch, state.size))
        told, frames = _unsent(state, entity), state.follow.frames.setdefault(entity, [])
        for pts_us, patch in traced:
            if pts_us <= e.left_us:
                break
            area = patch.area
            for frame in told.get(pts_us, []):
                taken = rle.decode(frame.rle.counts, frame.rle.size).astype(np.uint8)
                if scan.scale != 1.0:
                    taken = cv2.resize(taken, (state.size[1], state.size[0]), interpolation=cv2.INTER_NEAREST)
                patch = patch.without(taken > 0, (0, 0, taken.shape[1], taken.shape[0]))
            if patch.area < 0.3 * area:
                break  # it has slipped onto somebody else
            at = bisect_left(frames, pts_us, key=lambda frame: frame.pts_us)
            known = at < len(frames) and frames[at].pts_us == pts_us
            frames[at : at + known] = [_frame_of(e, patch, pts_us, scan.full, scan.scale)]

    def _tell(self, state: FeedState, changes: list[Body], view: View, scan: Scan) -> list[Body]:
        """Traits, descriptions, queries and actions; the slow thinking, done when the detector looked."""
        events, looked = list(changes), scan.found is not None
        for body in changes:
            events += self._let_go(state, body)
        live = [e for e in state.follow.entities if e.state == "visible" and e.shown is not None]
        for e in live:
            if not e.sights or e.sights[-1].pts_us != view.pts_us:
                e.sights.append(sight(e, view, None))
            del e.sights[:-128]
            if looked:
                marks = next((s.landmarks for s in reversed(e.sights) if s.pts_us == view.pts_us), None)
                traits.observe(e.traits, e, view.rgb, marks)
        if looked:
            acting = sorted((e for e in state.follow.entities if e.live), key=lambda e: e.id)  # the hidden, too
            events += self._transcribe.step(state.transcribe, acting, view.rgb.shape[:2], view.pts_us, scan.segment)
            everyone = {e.id: (e.category, e.traits) for e in live}
            company.notice(everyone)
            for e in live:
                if not ask.is_described(state.ask, e.id):
                    events += self._describe(e, everyone)
            known = {e.id for e in state.follow.entities} | {e.id for e in state.follow.gallery.dormant}
            events += refer.look(state.refer, everyone, known)
            if self._networks.imagetext is not None:
                picture.step(self._networks.imagetext, state.refer, live, view.rgb, view.pts_us)
        return events

    def _let_go(self, state: FeedState, body: Body) -> list[Body]:
        """What of an entity's story ends with it, or was another's."""
        match body:
            case EntityExited():
                return self._transcribe.close(state.transcribe, body.entity, body)
            case EntityMerged():
                refer.rename(state.refer, body.merged, body.entity)
                ask.rename(state.ask, body.merged, body.entity)
                return self._transcribe.close(state.transcribe, body.merged)
            case EntitySplit():
                refer.doubt(state.refer, {body.entity, body.into})
                ask.doubt(state.ask, {body.entity, body.into})
                ended = self._transcribe.close(state.transcribe, body.entity)
                return ended + self._transcribe.close(state.transcribe, body.into)
        return []

    def _describe(self, e: Entity, everyone: dict[int, tuple[str, Traits]]) -> list[Body]:
        """Say what to call an entity once it was seen a few times, and again when its words have changed."""
        if e.traits.sights < 3 or (e.expression and e.traits.sights % 6):
            return []
        told = recognize.describe(e.id, everyone)
        if told.expression == e.expression:
            return []
        e.expression = told.expression
        return [
            EntityDescribed(
                entity=e.id, expression=told.expression, noun=told.noun, category=e.category,
                attributes=list(told.attributes), source="measured",
            )
        ]  # fmt: skip

    def _send(self, state: FeedState, chunk_us: int) -> list[Body]:
        """The masklets of a finished chunk: frames of this one, and of earlier ones where they come late."""
        masklets: list[Body] = []
        revised: list[Body] = []
        for entity in sorted(i for i in state.follow.frames if i > 0):
            frames = state.follow.frames.pop(entity)
            early = [f for f in frames if f.pts_us < chunk_us]
            now = [f for f in frames if f.pts_us >= chunk_us]
            if now:
                masklets.append(Masklet(entity=entity, start_us=now[0].pts_us, frames=now))
            if early:
                revised.append(MaskletRevised(entity=entity, start_us=early[0].pts_us, frames=early))
        return masklets + revised

    def _pause(self, state: FeedState, reason: str, at_us: int) -> list[Body]:
        gone = self._masklets.leave_all(state.follow, "lost", state.scale)
        # Who is in sight when the feed ends has not left it.
        events = [] if reason == "end" else gone
        self.release(state.feed)
        for entity in sorted(state.transcribe.stories):
            events += self._transcribe.close(state.transcribe, entity)
        state.scan = copy.deepcopy(state.scan)
        events += self._scanner.close(state.scan, at_us, "end" if reason == "end" else "gap")
        state.past.clear()
        state.last_us = -1
        state.background.mean = state.background.seen = None
        return events


def _boxes(entities: list[Entity]) -> dict[int, F32]:
    """What is to be seen of whom: box [4] xyxy pixels of the working frame."""
    found = ((e.id, e.shown.box()) for e in entities if e.state == "visible" and e.shown is not None)
    return {i: box for i, box in found if box is not None}


def _unsent(state: FeedState, but: int) -> dict[int, list[MaskletFrame]]:
    """Masks of the others by time, as far as they have not gone out."""
    found: dict[int, list[MaskletFrame]] = {}
    for entity, frames in state.follow.frames.items():
        if entity != but and entity > 0:
            for frame in frames:
                found.setdefault(frame.pts_us, []).append(frame)
    return found


def _frame_of(
    e: Entity, patch: Patch, pts_us: int, size: tuple[int, int], scale: float, ready: Seen | None = None
) -> MaskletFrame:
    """One mask as an event's frame, in pixels of the full frame of `size` (H, W). ready: its run lengths, where it has
    some."""
    score = round(min(1.0, e.score if e.pose_us == pts_us else 0.9 * e.score), 3)
    if ready is not None and ready.counts is not None:
        box = np.array(ready.box, np.float32)
        return MaskletFrame(pts_us, Rle(size, ready.counts), rounded(box, 1.0), ready.area, score)
    height, width = size
    levels, x0, y0 = patch.prob, patch.x0, patch.y0
    if scale != 1.0:
        x0, y0 = round(patch.x0 * scale), round(patch.y0 * scale)
        x1, y1 = min(width, round(patch.window[2] * scale)), min(height, round(patch.window[3] * scale))
        levels = cv2.resize(levels, (max(1, x1 - x0), max(1, y1 - y0)), interpolation=cv2.INTER_LINEAR)
    mask = levels >= HALF
    tight = Patch(x0, y0, levels).box()
    bbox = rounded(tight if tight is not None else np.zeros(4, np.float32), 1.0)
    counts = rle.encode_window(mask, x0, y0, size)
    return MaskletFrame(pts_us, Rle(size, counts), bbox, int(np.count_nonzero(mask)), score)


def _latency(header: ChunkHeader) -> int | None:
    return None if header.captured_wall_us is None else time.time_ns() // 1000 - header.captured_wall_us
