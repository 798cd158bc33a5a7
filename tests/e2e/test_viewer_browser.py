"""The viewer's page in a real browser: pictures and masks in step, a query that binds, exits, restarts, a report."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from kernels import rle
from stream.events import MaskletFrame, QueryBound
from stream.log import Message
from stream.log.sqlite import SqliteLog
from stream.overlay import Pictures, Still
from stream.posting import post
from stream.queries import QueryRequest, encode_request
from stream.report import page as report_page
from tests.e2e.pages import canvas_of, drawn, free_port, opened, pictures, viewing
from tests.e2e.programs import start
from tests.media import samples
from tests.running import events_of, masks_of, messages_of, send_all
from tests.stream.viewer.told_log import frames as told_frames
from tests.stream.viewer.told_log import headers, send_chunk, send_events
from tests.told import appeared, masks, story
from tools.browser import chromium

pytestmark = pytest.mark.slow
WIDTH_PX, HEIGHT_PX = 960, 540


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as made:
        yield made


def overlap(changed: np.ndarray, frames: dict[int, MaskletFrame]) -> float:
    """IoU of what masks changed and what the log says they are, names apart."""
    told = np.zeros((HEIGHT_PX, WIDTH_PX), np.bool_)
    counted = np.ones_like(told)
    for frame in frames.values():
        told |= rle.decode(frame.rle.counts, frame.rle.size)
        x0, y0 = (int(v) for v in frame.bbox[:2])
        counted[max(0, y0 - 30) : max(30, y0 + 2), max(0, x0 - 260) : x0 + 420] = False
    return float((changed & told & counted).sum() / ((changed | told) & counted).sum())


def test_bedroom_from_the_first_chunk_to_the_last(browser: Browser, tmp_path: Path) -> None:
    folder, port = tmp_path / "run", free_port()
    chunks = messages_of(str(samples() / "bedroom.mp4"), "bedroom", max_chunk_s=1.0)
    SqliteLog(folder).close()
    with viewing(folder, port) as address, opened(browser, address) as page:
        expect(page.locator("#trouble")).to_have_text(re.compile("No feed yet: one shows here once a worker"))
        worker = worker_on(folder)
        try:
            send(folder, chunks[:2])
            expect(page.locator("#stage[data-pts-us]")).to_be_visible()
            page.keyboard.press("/")
            page.keyboard.type("the girl in the blue skirt")
            page.keyboard.press("Enter")
            expect(page.locator(".query .answer")).to_have_text("asked; no answer yet")
            send(folder, chunks[2:5])
            expect(page.locator(".query[data-outcome=bound] .answer")).to_have_text("is 1")
            page.keyboard.press("Escape")
            send(folder, chunks[5:])
            worker.kill()  # in the middle of a chunk; another goes on, and so does the page
            worker.wait()
            worker = worker_on(folder)
            expect(page.locator("#facts")).to_contain_text("ended (end)")
        finally:
            worker.kill()
            worker.wait()
        expect(page.locator("#happenings")).to_contain_text("2 exits (occluded)")
        expect(page.locator("#happenings")).to_contain_text("2 is back")
        expect(page.locator("#timeline-words")).to_contain_text("then occluded")
        expect(page.locator("#trouble")).to_be_hidden()
        in_step(page, folder)
        back_through_the_log(page)
        keys(page)


def send(folder: Path, chunks: Sequence[Message]) -> None:
    with closing(SqliteLog(folder)) as log:
        send_all(log, chunks)


def worker_on(folder: Path) -> subprocess.Popen[bytes]:
    return start("worker", "--log", str(folder), "--session", "2")


def in_step(page: Page, folder: Path) -> None:
    """At several times the page shows the very frame it names, and over it the masks of that frame."""
    with closing(SqliteLog(folder)) as log:
        told = masks_of(events_of(log, "bedroom"))
    frames = pictures(folder)
    times = sorted(frames)
    page.locator("#play").focus()
    if page.locator("#play").inner_text() == "Pause":
        page.locator("#play").click()
    box = page.locator("#timeline").bounding_box()
    assert box is not None
    seen = []
    for share in (0.3, 0.55, 0.9):
        page.mouse.click(box["x"] + share * box["width"], box["y"] + 10)
        page.wait_for_timeout(1200)
        pts_us, with_masks, plain = drawn(page)
        at = times.index(pts_us)
        off = [np.abs(plain - frames[t]).mean() for t in times[at - 3 : at + 4]]
        assert min(off) == off[3] < 6, "this frame, not one beside it"
        changed = np.abs(with_masks - plain).max(axis=2) > 6
        assert overlap(changed, told[pts_us]) > 0.97
        assert overlap(changed, told[times[at - 8]]) < 0.97, "masks of another time would be noticed"
        seen.append(len(told[pts_us]))
    assert seen == [1, 1, 2] or seen == [2, 1, 2]


def back_through_the_log(page: Page) -> None:
    """While the boy is behind the girl he is hidden, at the end he is live again."""
    page.locator("#happenings button", has_text="2 exits (occluded)").click()
    slider = page.locator("#scrubber")
    slider.focus()
    page.keyboard.press("ArrowRight")
    boy = page.locator(".entity[data-entity='2']")
    expect(boy).to_have_attribute("data-state", "hidden")
    expect(boy.locator(".state")).to_have_text("hidden (occluded)")
    page.keyboard.press("End")
    expect(boy).to_have_attribute("data-state", "live")
    page.keyboard.press("Home")
    expect(slider).to_have_attribute("aria-valuenow", "0.0")


def keys(page: Page) -> None:
    page.locator("#stage").evaluate("stage => stage.ownerDocument.activeElement.blur()")
    expect(page.locator("#stage")).to_have_attribute("data-pts-us", "0")  # where Home has led, once it is shown
    page.keyboard.press("ArrowRight")
    expect(page.locator("#stage")).to_have_attribute("data-pts-us", "33333")
    page.keyboard.press("2")
    expect(page.locator(".entity[data-entity='2'] .who")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("h")
    expect(page.locator(".entity[data-entity='2'] .hide")).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".entity[data-entity='2'] .who")).to_have_attribute("aria-pressed", "false")
    page.keyboard.press(" ")
    expect(page.locator("#play")).to_have_text("Pause")
    page.keyboard.press(" ")
    expect(page.locator("#play")).to_have_text("Play")
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#help")).to_be_hidden()


@pytest.fixture
def told(tmp_path: Path) -> Path:
    """A log of two feeds with hand-made events."""
    folder = tmp_path / "told"
    with closing(SqliteLog(folder)) as log:
        for feed in ("door", "gate"):
            for seq in range(3):
                send_chunk(log, feed, seq)
    return folder


def test_the_page_outlives_its_server(browser: Browser, told: Path) -> None:
    port = free_port()
    with viewing(told, port) as address:
        page = browser.new_page()
        page.set_default_timeout(60_000)
        page.goto(address)
        expect(page.locator("#stage[data-pts-us]")).to_be_visible()
    expect(page.locator("#trouble")).to_have_text("The viewer's server does not answer: trying again.")
    with closing(SqliteLog(told)) as log:
        send_chunk(log, "door", 3)
    with viewing(told, port):
        expect(page.locator("#clock")).to_contain_text("/ 00:04.0")
        expect(page.locator("#trouble")).to_be_hidden()
        page.close()


def test_a_token_comes_in_the_address_and_stays_out_of_sight(browser: Browser, told: Path, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("0123456789abcdef-A_Z\n")
    with viewing(told, free_port(), "--token-file", str(token)) as address:
        page = browser.new_page()
        page.goto(address)
        expect(page.locator("#trouble")).to_contain_text("refuses: a token is wanted: open the address")
        page.close()
        with opened(browser, f"{address}#token={token.read_text().strip()}") as page:
            expect(page.locator("#stage[data-pts-us]")).to_be_visible()
            expect(page.locator(".entity img.thumb").first).to_be_visible()
            assert "token" not in page.url
            page.reload()
            expect(page.locator("#stage[data-pts-us]")).to_be_visible()


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (390, 844)])
def test_the_wall_on_any_screen(browser: Browser, told: Path, width: int, height: int) -> None:
    with viewing(told, free_port()) as address, opened(browser, address, width=width, height=height) as page:
        expect(page.locator("#stage[data-pts-us]")).to_be_visible()
        expect(page.locator(".tile")).to_have_count(2)
        expect(page.locator(".entity")).to_have_count(3)
        names = page.locator(".entity .name").all_inner_texts()
        assert "<b>the person</b> 1" in names, "what a feed says is text"
        assert page.locator(".entity b").count() == 0
        page.locator(".tile", has_text="gate").click()
        expect(page.locator("#feed-name")).to_have_text("gate")
        expect(page.locator(".tile[aria-current=true]")).to_contain_text("gate")
        expect(page.locator("#stage[data-pts-us]")).to_be_visible()
        assert page.locator("html").evaluate("html => html.scrollWidth") <= width
        unnamed = page.locator("button").evaluate_all(
            "all => all.filter(b => !(b.getAttribute('aria-label') || b.textContent).trim()).length"
        )
        assert unnamed == 0
        if width > 900:
            assert page.locator("html").evaluate("html => html.scrollHeight") <= height


def test_regions_names_and_an_end(browser: Browser, told: Path) -> None:
    """Regions are outlined, an entity has one name wherever it is named, and nothing of a feed that ended is live."""
    rim, text = ((0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75)), "the girl"
    with closing(SqliteLog(told)) as log:
        for name, request in (("girl", QueryRequest(text, rim)), ("mask", QueryRequest("", rim))):
            post(log, "door", request, encode_request(request), name)
        bound = QueryBound(query="girl", text=text, entities=[1], score=0.9, margin=0.5, cues=[])
        send_events(log, "door", 2, [bound], first=9)
        for seq in (3, 4):  # the last is the end
            send_chunk(log, "door", seq)
    with viewing(told, free_port()) as address, opened(browser, f"{address}?feed=door") as page:
        expect(page.locator("#stage[data-pts-us]")).to_be_visible()
        expect(page.locator("#facts")).to_contain_text("ended (end)")
        page.locator("#back").click()  # which stops it
        expect(page.locator(".query")).to_have_text([f"“{text}” is 1 in its regionfollow×", "mask mask of the feed×"])
        expect(page.locator(".entity[data-entity='1'] .name")).to_have_text(text)
        expect(page.locator("#timeline-words")).to_contain_text(f"1 {text}: ")
        expect(page.locator("#stage")).to_have_attribute("aria-label", re.compile(f"1 {text}"))
        expect(page.locator(".entity[data-entity='1'] .state")).to_have_text("in sight")
        expect(page.locator("main")).not_to_contain_text(re.compile("live", re.I))
        outlined = canvas_of(page)
        for name in (f"“{text}”", "mask"):
            page.get_by_label(f"take back {name}").click()
        expect(page.locator(".query")).to_have_count(0)
        page.wait_for_timeout(300)
        height, width = outlined.shape[:2]
        changed = np.abs(outlined - canvas_of(page)).max(axis=2) > 60
        assert changed[int(0.3 * height) : int(0.7 * height), width // 4].mean() > 0.6
        assert not changed[: int(0.24 * height)].any()
        assert not changed[:, int(0.76 * width) :].any()


def test_masks_are_read_as_pycocotools_reads_them(browser: Browser, told: Path) -> None:
    dice = np.random.default_rng(1)
    shapes = [np.zeros((7, 5), bool), np.ones((7, 5), bool), dice.random((63, 500)) < 0.5, dice.random((1, 1)) < 2]
    for _ in range(30):
        mask = np.zeros((int(dice.integers(1, 300)), int(dice.integers(1, 300))), np.uint8)
        centre = (int(dice.integers(0, 300)), int(dice.integers(0, 300)))
        cv2.circle(mask, centre, int(dice.integers(1, 200)), 1, -1)
        shapes.append(mask.astype(bool))
    shapes.append(np.arange(2000 * 3000).reshape(2000, 3000) > 5_000_000)
    asked = [[rle.encode(mask), list(mask.shape)] for mask in shapes]
    decode = """async ([all, step]) => {
        const { decodeRle } = await import("/static/draw.js");
        return all.map(([counts, size]) => { const m = decodeRle(counts, size, step); return [m.width, m.height, Array.from(m.data).join("")]; });
    }"""  # noqa: E501
    with viewing(told, free_port()) as address, opened(browser, address) as page:
        for step in (1, 3):
            for mask, (width, height, data) in zip(shapes, page.evaluate(decode, [asked, step]), strict=True):
                wanted = mask[::step, ::step]
                assert (height, width) == wanted.shape
                read = np.frombuffer(data.encode(), np.uint8).reshape(height, width) == ord("1")
                assert np.array_equal(read, wanted)
        damaged = page.evaluate(decode, [[["~~~~~~~~~~", [4, 4]], ["", [4, 4]], ["o" * 50, [4, 4]]], 1])
        assert [len(data) for _, _, data in damaged] == [16, 16, 16]


def test_a_report_opens_from_disk_and_draws(browser: Browser, tmp_path: Path) -> None:
    grey = np.full((180, 320, 3), 128, np.uint8)
    jpeg = bytes(cv2.imencode(".jpg", grey)[1])
    mask = told_frames(headers()[0], 100)[0]
    told = story(appeared(1, 0, "</script><b>person"), masks(1, 0, 10))
    report = tmp_path / "report.html"
    report.write_text(report_page(told, Pictures({}, [Still(0, jpeg, [(1, mask)])]), has_overlay=False))
    asked: list[str] = []
    with opened(browser, "about:blank") as page:
        page.on("request", lambda request: asked.append(request.url))
        page.goto(report.as_uri())
        expect(page.locator(".stills canvas")).to_be_visible()
        page.wait_for_timeout(300)
        changed = np.abs(canvas_of(page, ".stills canvas") - 128).max(axis=2) > 6
        assert changed[60:100, 100:140].all()
        assert not changed[101:].any()
        page.locator("[data-entity='1']").click()
        expect(page.locator("[data-entity='1']")).to_have_attribute("aria-pressed", "true")
        expect(page.locator("#timeline-words")).to_contain_text("</script><b>person: 00:00.0 to 00:00.9")
        page.locator("#timeline").hover(position={"x": 300, "y": 32})
        expect(page.locator("#timeline")).to_have_attribute("title", "00:00.0 to 00:00.9")
    assert {url.partition(":")[0] for url in asked} == {"file"}, "from nowhere but the disk"
