// The wall of feeds: a tile each, with the first picture of its newest chunk and the masks of that very picture.
import { Painter } from "./draw.js";
import { ask, frames, ofFeed } from "./net.js";

/** @typedef {{feed: string, seq: number, end_us: number, present: number, ended: string, silent_s: number}} Line */

const LOADS = 3; // tiles that are brought up to date at a time

export class Wall {
  /** @param {HTMLElement} list @param {(feed: string) => void} chosen */
  constructor(list, chosen) {
    this.list = list;
    this.chosen = chosen;
    /** @type {Map<string, {item: HTMLElement, button: HTMLButtonElement, canvas: HTMLCanvasElement, name: HTMLElement, state: HTMLElement, seq: number, wanted: number}>} */
    this.tiles = new Map();
    this.painter = new Painter();
    this.loading = 0;
  }

  /** @param {Line[]} lines @param {string} current */
  show(lines, current) {
    for (const [feed, tile] of this.tiles) {
      if (lines.some((l) => l.feed === feed)) continue;
      tile.item.remove();
      this.tiles.delete(feed);
    }
    for (const line of lines) {
      const tile = this.tiles.get(line.feed) ?? this.#make(line.feed);
      tile.wanted = line.seq;
      tile.state.textContent = stateOf(line);
      tile.state.dataset.state = line.ended ? "ended" : line.silent_s >= 15 ? "silent" : "live";
      tile.button.setAttribute("aria-current", String(line.feed === current));
    }
    this.#load();
  }

  /** @param {string} feed */
  #make(feed) {
    const item = document.createElement("li"), button = document.createElement("button"), canvas = document.createElement("canvas");
    const name = document.createElement("span"), state = document.createElement("span");
    button.type = "button";
    button.className = "tile";
    canvas.width = 160;
    canvas.height = 90;
    canvas.setAttribute("aria-hidden", "true");
    name.className = "tile-name";
    name.textContent = feed;
    state.className = "tile-state";
    button.append(canvas, name, state);
    button.addEventListener("click", () => this.chosen(feed));
    item.append(button);
    const after = [...this.tiles.keys()].filter((other) => other > feed).sort()[0];
    this.list.insertBefore(item, after === undefined ? null : this.tiles.get(after).item);
    const tile = { item, button, canvas, name, state, seq: -1, wanted: -1 };
    this.tiles.set(feed, tile);
    return tile;
  }

  #load() {
    if (document.hidden) return;
    for (const [feed, tile] of this.tiles) {
      if (this.loading >= LOADS) return;
      if (tile.wanted < 0 || tile.wanted === tile.seq) continue;
      tile.seq = tile.wanted;
      this.loading++;
      this.#paint(feed, tile.canvas, tile.seq)
        .catch(() => undefined) // the next chunk will do
        .finally(() => {
          this.loading--;
          this.#load();
        });
    }
  }

  /** @param {string} feed @param {HTMLCanvasElement} canvas @param {number} seq */
  async #paint(feed, canvas, seq) {
    const signal = AbortSignal.timeout(20000);
    const told = ask(ofFeed(feed, "chunks", seq, "masks"), { signal }).then((r) => r.json());
    for await (const { pts_us, jpeg } of frames(ofFeed(feed, "chunks", seq, "frames") + "?side=320&first=true", signal)) {
      const picture = await createImageBitmap(jpeg);
      const masks = (await told).masks.flatMap(({ entity, frames: all }) => all.filter((f) => f.pts_us === pts_us).map((frame) => ({ entity, frame })));
      this.painter.paint(canvas, picture, masks, { hidden: new Set(), followed: 0, name: String });
      picture.close();
    }
  }
}

/** A feed's state in a few words. @param {Line} line */
export function stateOf(line) {
  if (line.ended) return `ended (${line.ended})`;
  if (line.seq < 0) return "no chunk yet";
  if (line.silent_s >= 15) return `silent for ${line.silent_s < 120 ? `${line.silent_s} s` : `${Math.floor(line.silent_s / 60)} min`}`;
  return `${line.present} in sight`;
}
