// The timeline one can move along: by pointer, and by keys as a slider.
import { clock } from "./draw.js";
import { drawTimeline, entityAt, heightOf, inWords, nameWidth, timeAt, wordsAt } from "./timeline.js";

/** @typedef {import("./model.js").Feed} Feed */

const MAX_ROWS = 40;

export class Scrubber {
  /**
   * @param {HTMLElement} slider @param {HTMLCanvasElement} canvas @param {HTMLElement} words @param {HTMLSelectElement} range
   * @param {{seek: (us: number) => void, at: () => number, follow: (entity: number) => void}} does
   */
  constructor(slider, canvas, words, range, does) {
    Object.assign(this, { slider, canvas, words, range, does });
    /** @type {import("./timeline.js").Telling | null} */
    this.telling = null;
    this.worded = -1;
    slider.addEventListener("keydown", (event) => this.#key(event));
    canvas.addEventListener("pointerdown", (event) => this.#press(event));
    canvas.addEventListener("pointermove", (event) => (event.buttons & 1 ? this.#press(event) : this.#hover(event)));
  }

  /** @param {Feed} feed @param {number} at_us @param {number} followed */
  show(feed, at_us, followed) {
    const long = Number(this.range.value) * 1e6 || feed.to_us - feed.from_us;
    const at = at_us < 0 ? feed.to_us : at_us;
    const to_us = at > feed.to_us - long ? feed.to_us : Math.min(feed.to_us, at + long / 2);
    const from_us = Math.max(feed.from_us, to_us - long);
    const rows = feed.known(Infinity)
      .filter((e) => e.presences.some(([a, b]) => b >= from_us && a <= to_us))
      .slice(-MAX_ROWS)
      .map((e) => ({ entity: e.entity, name: feed.nameOf(e.entity), presences: e.presences, actions: e.actions }));
    const segments = feed.segments.map((s) => (s.end_us > s.start_us ? s : { ...s, end_us: feed.to_us })); // it goes on
    this.telling = { from_us, to_us: Math.max(to_us, from_us + 1), at_us, segments, gaps: feed.gaps, rows, followed };
    const height = `${heightOf(rows.length)}px`;
    if (this.canvas.style.height !== height) this.canvas.style.height = height;
    drawTimeline(this.canvas, this.telling);
    this.slider.setAttribute("aria-valuemin", (feed.from_us / 1e6).toFixed(1));
    this.slider.setAttribute("aria-valuemax", (feed.to_us / 1e6).toFixed(1));
    this.slider.setAttribute("aria-valuenow", (Math.max(0, at_us) / 1e6).toFixed(1));
    this.slider.setAttribute("aria-valuetext", `${clock(Math.max(0, at_us))} of ${clock(feed.to_us)}`);
    const worded = `${feed.version} ${rows.map((row) => row.name).join()}`;
    if (this.worded !== worded) {
      this.worded = worded;
      this.words.textContent = inWords(this.telling);
    }
  }

  /** @param {PointerEvent} event */
  #hover(event) {
    if (this.telling) this.canvas.title = wordsAt(event.offsetX, event.offsetY, this.canvas.clientWidth, this.telling);
  }

  /** @param {PointerEvent} event */
  #press(event) {
    if (!this.telling) return;
    const box = this.canvas.getBoundingClientRect(), x = event.clientX - box.left;
    if (x < nameWidth(box.width)) {
      if (event.type !== "pointerdown") return;
      const entity = entityAt(event.clientY - box.top, this.telling);
      if (entity) this.does.follow(entity);
      return;
    }
    this.canvas.setPointerCapture(event.pointerId);
    this.does.seek(timeAt(x, box.width, this.telling));
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (!this.telling) return;
    const at = Math.max(0, this.does.at());
    const to = {
      ArrowLeft: at - 1e6, ArrowDown: at - 1e6, ArrowRight: at + 1e6, ArrowUp: at + 1e6,
      PageDown: at - 1e7, PageUp: at + 1e7, Home: 0, End: Number.MAX_SAFE_INTEGER,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    this.does.seek(to);
  }
}
