// The lists beside the picture: entities, queries, what has happened. Text of the log is only ever set as text.
import { clock, colourOf } from "./draw.js";
import { MASK } from "./model.js";
import { ask, ofFeed, Refused } from "./net.js";

/** @typedef {import("./model.js").Feed} Feed */

const PICTURE_EVERY_MS = 4000; // an entity's picture is fetched anew at most so often
const SAID = { live: "in sight", hidden: "hidden", gone: "gone", later: "later" };

/** Set text only where it has changed: readers of screens are told of changes. @param {HTMLElement} element @param {string} text */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** @param {string} tag @param {string} name @param {string} [text] */
function made(tag, name, text = "") {
  const element = document.createElement(tag);
  element.className = name;
  element.textContent = text;
  return element;
}

/** @param {string} name @param {string} text @param {() => void} pressed */
function button(name, text, pressed) {
  const element = /** @type {HTMLButtonElement} */ (made("button", name, text));
  element.type = "button";
  element.addEventListener("click", pressed);
  return element;
}

/** Pictures of entities: fetched with the token, so by hand. */
class Thumbs {
  constructor() {
    /** @type {Map<number, {us: number, at_ms: number, url: string}>} */
    this.have = new Map();
    this.busy = false;
  }

  clear() {
    for (const { url } of this.have.values()) URL.revokeObjectURL(url);
    this.have.clear();
  }

  /** @param {Feed} feed @param {import("./model.js").Entity} e @param {HTMLImageElement} image */
  async want(feed, e, image) {
    const have = this.have.get(e.entity), now = performance.now();
    if (this.busy || e.picture_us < 0 || have?.us === e.picture_us || (have && now - have.at_ms < PICTURE_EVERY_MS)) return;
    this.busy = true;
    try {
      const response = await ask(ofFeed(feed.name, "entities", e.entity, "picture"));
      const url = URL.createObjectURL(await response.blob());
      image.src = url;
      image.hidden = false;
      if (have?.url) URL.revokeObjectURL(have.url);
      this.have.set(e.entity, { us: e.picture_us, at_ms: now, url });
    } catch (refused) {
      const lost = refused instanceof Refused && refused.status === 404; // else it is tried again
      this.have.set(e.entity, { us: lost ? e.picture_us : (have?.us ?? -1), at_ms: now, url: have?.url ?? "" });
    } finally {
      this.busy = false;
    }
  }
}

export class Entities {
  /**
   * @param {HTMLElement} list @param {HTMLElement} count @param {import("./draw.js").Look} look
   * @param {{follow: (entity: number) => void, hide: (entity: number) => void}} does
   */
  constructor(list, count, look, does) {
    Object.assign(this, { list, count, look, does });
    this.thumbs = new Thumbs();
    this.clear();
  }

  clear() {
    this.thumbs.clear();
    this.rows = new Map();
    this.list.replaceChildren();
  }

  /** @param {Feed} feed @param {number} at_us */
  show(feed, at_us) {
    const known = feed.listed(at_us);
    for (const [id, row] of this.rows) {
      if (known.some((e) => e.entity === id)) continue;
      row.item.remove();
      this.rows.delete(id);
    }
    known.forEach((e, i) => {
      const row = this.rows.get(e.entity) ?? this.#make(e.entity);
      if (this.list.children[i] !== row.item) this.list.insertBefore(row.item, this.list.children[i] ?? null);
      const { state, why } = feed.stateOf(e, at_us);
      const name = feed.nameOf(e.entity), described = e.expression || e.category;
      row.item.dataset.state = state;
      say(row.name, name);
      row.name.title = described === name ? "" : described;
      say(row.state, why && state !== "live" ? `${SAID[state]} (${why})` : SAID[state]);
      const followed = this.look.followed === e.entity, hidden = this.look.hidden.has(e.entity);
      row.who.setAttribute("aria-pressed", String(followed));
      row.hide.setAttribute("aria-pressed", String(hidden));
      row.hide.setAttribute("aria-label", `hide the mask of ${e.entity} ${name}`);
      say(row.hide, hidden ? "show" : "hide");
      row.who.setAttribute("aria-label", `follow ${e.entity} ${name}, ${row.state.textContent}`);
      void this.thumbs.want(feed, e, row.image);
    });
    const everyone = feed.known(at_us), live = everyone.filter((e) => feed.stateOf(e, at_us).state === "live").length;
    say(this.count, everyone.length ? `${live} in sight, ${everyone.length} known` : "");
  }

  /** @param {number} id */
  #make(id) {
    const item = made("li", "entity"), image = /** @type {HTMLImageElement} */ (made("img", "thumb"));
    const who = button("who", "", () => this.does.follow(id)), hide = button("hide", "hide", () => this.does.hide(id));
    const words = made("span", "words"), name = made("span", "name"), state = made("span", "state");
    const number = made("span", "number", String(id)), frame = made("span", "frame");
    item.dataset.entity = String(id);
    item.style.setProperty("--c", colourOf(id));
    image.alt = "";
    image.hidden = true;
    frame.append(image);
    words.append(name, state);
    who.append(frame, number, words);
    item.append(who, hide);
    const row = { item, image, who, hide, name, state };
    this.rows.set(id, row);
    return row;
  }
}

/** What became of a query, in words. @param {import("./model.js").Asked} q @param {boolean} ended whether its feed has */
export function answerOf(q, ended = false) {
  if (!q.text) return MASK;
  if (q.outcome === "bound") return `${q.entities.length > 1 ? "are" : "is"} ${q.entities.join(" and ")}`;
  if (q.outcome === "ambiguous") return `could be ${q.entities.join(" or ")}`;
  if (q.outcome === "asked") return ended ? "asked; the feed has ended" : "asked; no answer yet";
  return q.reason.startsWith("asked too late") ? q.reason : "nobody fits";
}

export class Queries {
  /** @param {HTMLElement} list @param {{follow: (entity: number) => void, takeBack: (query: string) => void}} does */
  constructor(list, does) {
    Object.assign(this, { list, does });
    this.shown = "";
  }

  /** @param {Feed} feed */
  show(feed) {
    const queries = feed.queries(), ended = feed.ended !== "", now = JSON.stringify([queries, ended]);
    if (now === this.shown) return;
    this.shown = now;
    this.list.replaceChildren(...queries.map((q) => this.#item(q, ended)));
  }

  /** @param {import("./model.js").Asked} q @param {boolean} ended */
  #item(q, ended) {
    const item = made("li", "query");
    item.dataset.outcome = q.outcome;
    const said = made("span", "said"), answer = made("span", "answer", answerOf(q, ended)), called = q.text ? `“${q.text}”` : q.query;
    said.append(made("span", "name", called), " ", answer);
    if (q.text && q.roi.length) said.append(made("span", "where", " in its region"));
    item.append(said);
    if (q.cues.length) answer.title = `score ${q.score.toFixed(2)}: ${q.cues.join(", ")}`;
    if (q.outcome === "bound" && q.entities.length === 1) {
      const follow = button("small", "follow", () => this.does.follow(q.entities[0]));
      follow.setAttribute("aria-label", `follow ${q.entities[0]}, who is “${q.text}”`);
      item.append(follow);
    }
    if (!q.all) {
      const back = button("small", "×", () => this.does.takeBack(q.query));
      back.setAttribute("aria-label", `take back ${called}`);
      item.append(back);
    }
    return item;
  }
}

export class Happenings {
  /** @param {HTMLElement} list @param {(at_us: number, entity: number) => void} go */
  constructor(list, go) {
    Object.assign(this, { list, go });
    this.shown = -1;
  }

  /** @param {Feed} feed */
  show(feed) {
    if (this.shown === feed.version) return;
    this.shown = feed.version;
    if (this.list.querySelector(":focus-visible")) return; // do not pull it from under somebody's fingers
    this.list.replaceChildren(
      ...feed.happenings().map((h) => {
        const item = made("li", "happening"), go = button("go", "", () => this.go(h.at_us, h.entity));
        if (h.entity) item.style.setProperty("--c", colourOf(h.entity));
        go.append(made("time", "at", clock(h.at_us)), made("span", "what", h.text));
        item.append(go);
        return item;
      }),
    );
  }
}
