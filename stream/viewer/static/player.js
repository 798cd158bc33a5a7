// Plays a feed out of the log: each picture comes with its time, and is drawn with the masks of that time and no other.
import { Painter } from "./draw.js";
import { ask, frames, ofFeed } from "./net.js";
import { outline } from "./region.js";

/** @typedef {{pts_us: number, jpeg: Blob, picture: ImageBitmap | null, asked: boolean}} Picture */
/** @typedef {import("./draw.js").Mask} Mask */

const AHEAD = 6; // pictures decoded before their time
const BEHIND_CHUNKS = 2; // at the live end: what is further behind is skipped

/** A chunk in the player's hands; its JPEGs come while it plays. */
class Reel {
  /** @param {string} feed @param {import("./model.js").Chunk} chunk @param {number} side */
  constructor(feed, chunk, side) {
    this.chunk = chunk;
    /** @type {Picture[]} */
    this.pictures = [];
    /** @type {Map<number, Mask[]>} */
    this.masks = new Map();
    this.masked = false;
    this.done = false;
    this.trouble = "";
    this.abort = new AbortController();
    this.#frames(ofFeed(feed, "chunks", chunk.seq, "frames") + `?side=${side}`);
    this.#masks(ofFeed(feed, "chunks", chunk.seq, "masks"));
  }

  async #frames(path) {
    try {
      for await (const f of frames(path, this.abort.signal)) this.pictures.push({ ...f, picture: null, asked: false });
    } catch (e) {
      if (!this.abort.signal.aborted) this.trouble = e instanceof Error ? e.message : String(e);
    }
    this.done = true;
  }

  async #masks(path) {
    try {
      const told = await (await ask(path, { signal: this.abort.signal })).json();
      for (const { entity, frames: all } of told.masks) {
        for (const frame of all) {
          const at = this.masks.get(frame.pts_us) ?? [];
          at.push({ entity, frame });
          this.masks.set(frame.pts_us, at);
        }
      }
    } catch (e) {
      if (!this.abort.signal.aborted) this.trouble = e instanceof Error ? e.message : String(e);
    }
    this.masked = true;
  }

  /** The index of the newest picture at or before a time, -1 for none. @param {number} us */
  indexAt(us) {
    let low = 0, high = this.pictures.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.pictures[middle].pts_us <= us) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  /** Have the pictures from an index on decoded, and let those go that are far from it. @param {number} index @param {() => void} ready */
  prepare(index, ready) {
    this.pictures.forEach((p, i) => {
      if (i >= index && i < index + AHEAD) {
        if (p.asked) return;
        p.asked = true;
        createImageBitmap(p.jpeg).then((made) => {
          p.picture = made;
          ready();
        }, () => (this.trouble = "a picture cannot be read"));
      } else if (p.picture && (i < index - AHEAD || i >= index + 2 * AHEAD)) {
        p.picture.close();
        p.picture = null;
        p.asked = false;
      }
    });
  }

  close() {
    this.abort.abort();
    for (const p of this.pictures) p.picture?.close();
  }
}

export class Player {
  /**
   * @param {HTMLCanvasElement} canvas @param {import("./draw.js").Look} look @param {() => void} moved told when another
   * picture is shown, or playing begins or ends
   */
  constructor(canvas, look, moved) {
    this.canvas = canvas;
    this.look = look;
    this.moved = moved;
    this.painter = new Painter();
    /** @type {import("./model.js").Feed | null} */
    this.feed = null;
    /** @type {Map<number, Reel>} */
    this.reels = new Map();
    this.reset();
    requestAnimationFrame((now) => this.#tick(now));
  }

  reset() {
    for (const reel of this.reels.values()) reel.close();
    this.reels.clear();
    this.at_us = -1;
    this.shown_us = -1;
    this.seq = -1;
    this.playing = true;
    this.live = true;
    this.last_ms = 0;
    this.dirty = true;
  }

  /** @param {import("./model.js").Feed} feed */
  show(feed) {
    this.reset();
    this.feed = feed;
    this.canvas.getContext("2d").clearRect(0, 0, this.canvas.width, this.canvas.height);
  }

  /** New chunks have come. */
  grown() {
    if (!this.feed || this.feed.chunks.length === 0 || document.hidden) return;
    const newest = this.feed.chunks.at(-1);
    if (this.seq < 0 && this.feed.ended) return this.seek(this.feed.from_us); // nothing more comes: from the beginning
    const here = this.feed.chunks.findIndex((c) => c.seq === this.seq);
    if (this.seq < 0 || here < 0 || (this.live && this.feed.chunks.length - 1 - here > BEHIND_CHUNKS)) {
      this.#to(newest.start_us, newest);
    }
  }

  /** Go to a time. @param {number} us @param {boolean} [live] */
  seek(us, live = false) {
    const chunk = this.feed?.chunkAt(us);
    if (!chunk) return;
    this.live = live;
    this.#to(Math.min(Math.max(us, chunk.start_us), chunk.end_us - 1), chunk);
  }

  goLive() {
    const newest = this.feed?.chunks.at(-1);
    if (newest) this.seek(newest.start_us, true);
    this.playing = true;
    this.moved();
  }

  toggle() {
    this.playing = !this.playing;
    if (!this.playing) this.live = false;
    else if (this.feed && this.at_us >= this.feed.to_us - 50000 && this.feed.ended) this.seek(this.feed.from_us);
    this.moved();
  }

  /** One frame on or back. @param {1 | -1} way */
  step(way) {
    this.playing = this.live = false;
    const reel = this.reels.get(this.seq);
    const next = reel?.pictures[reel.indexAt(this.at_us) + way];
    if (next) this.at_us = next.pts_us;
    else {
      const chunk = way > 0 ? this.feed?.after(this.seq) : this.feed?.before(this.seq);
      if (chunk) this.#to(way > 0 ? chunk.start_us : chunk.end_us - 1, chunk);
    }
    this.moved();
  }

  /** @param {number} us @param {import("./model.js").Chunk} chunk */
  #to(us, chunk) {
    this.at_us = us;
    this.seq = chunk.seq;
    this.#load(chunk);
    this.dirty = true;
  }

  /** Have a chunk and the next one here, and no other. @param {import("./model.js").Chunk} chunk */
  #load(chunk) {
    const next = this.playing ? this.feed.after(chunk.seq) : undefined;
    const wanted = next ? [chunk, next] : [chunk];
    for (const [seq, reel] of this.reels) {
      if (wanted.some((c) => c.seq === seq)) continue;
      reel.close();
      this.reels.delete(seq);
    }
    const first = this.reels.get(chunk.seq);
    if (!first) this.reels.set(chunk.seq, new Reel(this.feed.name, chunk, this.#side()));
    else if (next && first.done && !this.reels.has(next.seq)) this.reels.set(next.seq, new Reel(this.feed.name, next, this.#side()));
  }

  #side() {
    const wide = Math.max(this.canvas.clientWidth, this.canvas.clientHeight) * Math.min(2, window.devicePixelRatio || 1);
    return [320, 640].find((side) => wide <= side) ?? 960;
  }

  get trouble() {
    return this.reels.get(this.seq)?.trouble ?? "";
  }

  /** @param {number} now_ms */
  #tick(now_ms) {
    const passed_us = this.last_ms ? Math.min(200, now_ms - this.last_ms) * 1000 : 0;
    this.last_ms = now_ms;
    const reel = this.reels.get(this.seq);
    if (this.feed && reel) {
      if (this.playing) this.#move(reel, passed_us);
      this.#draw(this.reels.get(this.seq) ?? reel);
    }
    requestAnimationFrame((now) => this.#tick(now));
  }

  /** @param {Reel} reel @param {number} passed_us */
  #move(reel, passed_us) {
    const loaded = reel.done ? reel.chunk.end_us : (reel.pictures.at(-1)?.pts_us ?? this.at_us);
    this.at_us = Math.max(this.at_us, Math.min(this.at_us + passed_us, loaded));
    this.#load(reel.chunk);
    if (!reel.done || this.at_us < reel.chunk.end_us - 1) return;
    const next = this.feed.after(this.seq);
    if (next) this.#to(next.start_us, next);
    else {
      this.at_us = reel.chunk.end_us - 1;
      if (this.feed.ended && this.playing) {
        this.playing = false;
        this.moved();
      }
    }
  }

  /** @param {Reel} reel */
  #draw(reel) {
    const wanted = reel.indexAt(this.at_us);
    reel.prepare(Math.max(0, wanted), () => (this.dirty = true));
    let index = Math.max(0, wanted); // the newest that is decoded; before the chunk's first, that one
    while (index >= 0 && !reel.pictures[index]?.picture) index--;
    const shown = reel.pictures[index];
    if (!shown?.picture || !reel.masked || (!this.dirty && shown.pts_us === this.shown_us)) return;
    const masks = reel.masks.get(shown.pts_us) ?? [];
    this.painter.paint(this.canvas, shown.picture, masks, this.look, () => outline(this.canvas, this.feed.regions()));
    this.dirty = false;
    if (shown.pts_us === this.shown_us) return;
    this.shown_us = shown.pts_us;
    this.canvas.dataset.ptsUs = String(shown.pts_us);
    this.moved();
  }

  /** Draw again: what is to be seen has changed. */
  redraw() {
    this.dirty = true;
  }
}
