// What the page knows of the feed it shows, brought up to date by the server's messages; and who is where at a time.

/** @typedef {[number, number, string]} Part start_us, end_us, and why it ended or what it was */
/** @typedef {{entity: number, category: string, expression: string, presences: Part[], actions: Part[], picture_us: number}} Entity */
/** @typedef {{query: string, text: string, outcome: string, entities: number[], score: number, cues: string[], reason: string, all: boolean, roi: [number, number][]}} Asked */
/** @typedef {{seq: number, start_us: number, end_us: number}} Chunk */
/** @typedef {{at_us: number, text: string, entity: number}} Happening */

const MAX_CHUNKS = 7200, MAX_HAPPENINGS = 150, MAX_LISTED = 60;
export const MASK = "mask of the feed";
const JUST_US = 250000; // between two masks of an entity that is there

export class Feed {
  /** @param {string} name */
  constructor(name) {
    this.name = name;
    this.version = 0;
    /** @type {Chunk[]} */
    this.chunks = [];
    /** @type {Map<number, Entity>} */
    this.entities = new Map();
    /** @type {any[]} */
    this.answers = [];
    /** @type {{query: string, text: string, all: boolean, roi: [number, number][]}[]} */
    this.asked = [];
    /** @type {{segment: number, start_us: number, end_us: number, opened: string}[]} */
    this.segments = [];
    /** @type {Part[]} */
    this.gaps = [];
    this.ended = "";
    this.errors = 0;
    /** @type {any} */
    this.facts = null;
  }

  /** Take in what has changed. @param {any} told */
  take(told) {
    if (told.full) {
      this.chunks = [];
      this.entities.clear();
    }
    this.version = told.version;
    for (const [seq, start_us, end_us] of told.chunks) this.chunks.push({ seq, start_us, end_us });
    const old = this.chunks.findIndex((c) => c.seq >= told.first_seq);
    this.chunks.splice(0, Math.max(0, old, this.chunks.length - MAX_CHUNKS));
    for (const id of told.removed) this.entities.delete(id);
    for (const e of told.entities) this.entities.set(e.entity, e);
    this.ended = told.ended;
    this.errors = told.errors;
    this.facts = told.facts ?? this.facts;
    this.answers = told.queries ?? this.answers;
    this.segments = told.segments ?? this.segments;
    this.gaps = told.gaps ?? this.gaps;
  }

  get from_us() {
    return this.chunks[0]?.start_us ?? 0;
  }

  get to_us() {
    return this.chunks.at(-1)?.end_us ?? 0;
  }

  /** The chunk that a time lies in, or the next one, or the last. @param {number} us @returns {Chunk | undefined} */
  chunkAt(us) {
    return this.chunks.find((c) => us < c.end_us) ?? this.chunks.at(-1);
  }

  /** @param {number} seq @returns {Chunk | undefined} the first chunk after a seq */
  after(seq) {
    return this.chunks.find((c) => c.seq > seq);
  }

  /** @param {number} seq @returns {Chunk | undefined} the last chunk before a seq */
  before(seq) {
    return this.chunks.filter((c) => c.seq < seq).at(-1);
  }

  /**
   * Where an entity is at a time: live (in sight), hidden (behind another, or its mask is away for a moment), gone (it
   * left), or later (it has not come yet). @param {Entity} e @param {number} us
   * @returns {{state: "live" | "hidden" | "gone" | "later", why: string}}
   */
  stateOf(e, us) {
    let before = null;
    for (const part of e.presences) {
      if (part[0] > us + JUST_US) break;
      if (us <= part[1] + JUST_US) return { state: "live", why: "" };
      before = part;
    }
    if (before === null) return { state: "later", why: "" };
    const why = before[2];
    return why === "occluded" || (why === "" && !this.ended) ? { state: "hidden", why } : { state: "gone", why };
  }

  /** The entities known at a time, by number; with `all` those too that come later. @param {number} us @param {boolean} [all] */
  known(us, all = false) {
    const found = [...this.entities.values()].filter((e) => e.presences.length > 0 && (all || this.stateOf(e, us).state !== "later"));
    return found.sort((a, b) => a.entity - b.entity);
  }

  /** Those of the list: who is in sight first, then who is hidden, then who has gone, the last to go first. @param {number} us */
  listed(us) {
    const rank = { live: 0, hidden: 1, gone: 2, later: 3 };
    const left = (e) => e.presences.filter((p) => p[0] <= us + JUST_US).at(-1)?.[1] ?? 0;
    const all = this.known(us).map((e) => ({ e, rank: rank[this.stateOf(e, us).state] }));
    all.sort((a, b) => a.rank - b.rank || (a.rank === 2 ? left(b.e) - left(a.e) : 0) || a.e.entity - b.e.entity);
    return all.slice(0, MAX_LISTED).map(({ e }) => e);
  }

  /** The queries asked now with their answers. @returns {Asked[]} */
  queries() {
    const answer = new Map(this.answers.map((a) => [a.query, a]));
    return this.asked.map((q) => {
      const a = answer.get(q.query);
      const same = a !== undefined && a.text === q.text;
      return {
        query: q.query, text: q.text, all: q.all, roi: q.roi,
        outcome: same ? a.outcome : "asked", entities: same ? a.entities : [], score: same ? a.score : 0, cues: same ? a.cues : [],
        reason: same ? a.reason : "",
      };
    });
  }

  /** The regions that are asked of now, as corners in fractions of the frame. @returns {import("./region.js").Region[]} */
  regions() {
    return this.asked.filter((q) => q.roi.length > 0).map((q) => ({ corners: q.roi, text: q.text || MASK }));
  }

  /** What an entity is called: a query that it answers, its expression or its category. @param {number} id */
  nameOf(id) {
    const query = this.queries().find((q) => q.outcome === "bound" && q.entities.includes(id));
    const e = this.entities.get(id);
    return query?.text ?? (e?.expression || e?.category || "");
  }

  /** What has happened, newest first. @returns {Happening[]} */
  happenings() {
    /** @type {Happening[]} */
    const found = [];
    const add = (at_us, text, entity = 0) => found.push({ at_us, text, entity });
    for (const s of this.segments) add(s.start_us, `segment ${s.segment} opens (${s.opened})`);
    for (const [start, end, why] of this.gaps) add(start, `gap of ${((end - start) / 1e6).toFixed(1)} s (${why})`);
    for (const e of this.entities.values()) {
      const name = String(e.entity);
      e.presences.forEach(([start, end, why], i) => {
        add(start, `${name} ${i ? "is back" : "appears"}`, e.entity);
        if (why) add(end, `${name} exits (${why})`, e.entity);
      });
      for (const [start, , text] of e.actions) add(start, `${name} ${text}`, e.entity);
    }
    return found.sort((a, b) => b.at_us - a.at_us).slice(0, MAX_HAPPENINGS);
  }
}

/**
 * What to say aloud of a change: queries that were answered, entities that left or came back. @param {Feed} feed
 */
export function newsOf(feed) {
  const queries = new Map(feed.queries().map((q) => [q.query, `${q.outcome} ${q.entities.join()}`]));
  const away = new Map([...feed.entities.values()].map((e) => [e.entity, e.presences.length * 2 + (e.presences.at(-1)?.[2] ? 1 : 0)]));
  return { queries, away };
}

/** @param {Feed} feed @param {ReturnType<typeof newsOf>} before @returns {string[]} */
export function sinceThen(feed, before) {
  const said = [];
  for (const q of feed.queries()) {
    const was = before.queries.get(q.query);
    if (was === undefined || was === `${q.outcome} ${q.entities.join()}`) continue;
    const who = q.entities.map((id) => String(id)).join(" or ");
    if (q.outcome === "bound") said.push(`“${q.text}” is ${q.entities.join(" and ")}`);
    else if (q.outcome === "ambiguous") said.push(`“${q.text}” could be ${who}`);
  }
  for (const e of feed.entities.values()) {
    const was = before.away.get(e.entity), last = e.presences.at(-1);
    const now = e.presences.length * 2 + (last?.[2] ? 1 : 0);
    if (was === undefined || was === now || last === undefined) continue;
    said.push(last[2] ? `${e.entity} ${feed.nameOf(e.entity)} exits: ${last[2]}` : `${e.entity} ${feed.nameOf(e.entity)} is back`);
  }
  return said;
}
