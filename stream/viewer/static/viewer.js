// The page: what the server tells goes into the model, the model onto the page, and what a person does back.
import { clock } from "./draw.js";
import { listen } from "./keys.js";
import { Feed, newsOf, sinceThen } from "./model.js";
import { ask, Line, ofFeed, refusal, Refused } from "./net.js";
import { Entities, Happenings, Queries, say } from "./panels.js";
import { Player } from "./player.js";
import { Scrubber } from "./scrubber.js";
import { Wall } from "./wall.js";

/** @param {string} id @returns {any} */
const by = (id) => document.getElementById(id);

const LONG_US = 1.2e9; // what is longer than 20 minutes is not shown whole at first

/** @type {import("./draw.js").Look} */
const look = { hidden: new Set(), followed: 0, name: (id) => `${id} ${feed ? feed.nameOf(id) : ""}` };
/** @type {Feed | null} */
let feed = null;
/** @type {import("./wall.js").Line[]} */
let lines = [];
let logTrouble = "", refused = "", up = false, due = false;

const player = new Player(by("stage"), look, refresh);
const entities = new Entities(by("entities"), by("entity-count"), look, { follow, hide });
const queries = new Queries(by("queries"), { follow, takeBack });
const happenings = new Happenings(by("happenings"), (at_us) => seek(at_us));
const scrubber = new Scrubber(by("scrubber"), by("timeline"), by("timeline-words"), by("range"), { seek, follow, at: () => player.at_us });
const wall = new Wall(by("wall"), choose);
const line = new Line(told, connected, () => ({ feed: feed?.name ?? "", version: feed?.version ?? 0 }));

/** @param {any} message */
function told(message) {
  if (message.type === "wall") {
    lines = message.feeds;
    logTrouble = message.trouble;
    const asked = new URLSearchParams(location.search).get("feed");
    if (!feed && lines.length) choose(lines.some((l) => l.feed === asked) ? asked : lines[0].feed);
  } else if (feed && message.feed === feed.name) {
    const before = newsOf(feed), first = feed.version === 0;
    if (message.type === "feed") {
      feed.take(message);
      if (first) by("range").value = feed.to_us - feed.from_us > LONG_US ? "600" : "0";
      player.grown();
    } else if (message.type === "asked") feed.asked = message.asked;
    player.redraw(); // names may have changed
    if (!first) for (const news of sinceThen(feed, before)) announce(news);
  }
  refresh();
}

/** @param {boolean} now */
async function connected(now) {
  up = now;
  refresh();
  refused = now ? "" : await refusal();
  refresh();
}

/** @param {string} name */
function choose(name) {
  if (feed?.name === name) return;
  feed = new Feed(name);
  look.hidden.clear();
  look.followed = 0;
  entities.clear();
  player.show(feed);
  history.replaceState(null, "", `?feed=${encodeURIComponent(name)}`);
  document.title = `${name} · strefer`;
  line.watch();
  refresh();
}

/** Bring the page up to date with the next frame of the screen, however often it is asked for. */
function refresh() {
  if (due) return;
  due = true;
  requestAnimationFrame(() => {
    due = false;
    paint();
  });
}

function paint() {
  wall.show(lines, feed?.name ?? "");
  by("wall-part").hidden = lines.length < 2;
  const line = lines.find((l) => l.feed === feed?.name);
  say(by("trouble"), troubleOf(line));
  by("trouble").hidden = !by("trouble").textContent;
  if (!feed) return;
  const at = player.shown_us >= 0 ? player.shown_us : player.at_us;
  say(by("feed-name"), feed.name);
  say(by("facts"), factsOf(feed));
  say(by("clock"), `${clock(Math.max(0, player.at_us))} / ${clock(feed.to_us)}`);
  say(by("play"), player.playing ? "Pause" : "Play");
  by("live").setAttribute("aria-pressed", String(player.live && !feed.ended));
  by("live").disabled = feed.chunks.length === 0;
  say(by("live"), feed.ended ? "Latest" : player.live ? "Live" : "Go live");
  by("empty").hidden = player.shown_us >= 0;
  entities.show(feed, at);
  queries.show(feed);
  happenings.show(feed);
  scrubber.show(feed, player.at_us, look.followed);
  if (!player.playing) by("stage").setAttribute("aria-label", sceneInWords(feed, at));
}

/** @param {import("./wall.js").Line | undefined} line */
function troubleOf(line) {
  if (!up && refused) return `The viewer's server refuses: ${refused}.`;
  if (!up) return "The viewer's server does not answer: trying again.";
  if (logTrouble) return `The log cannot be read: ${logTrouble}`;
  if (!lines.length) return "No feed yet: one shows here once a worker (strefer worker) has followed its first chunk.";
  if (line && !line.ended && line.silent_s >= 15) return `No news of ${line.feed} for ${line.silent_s} s: is its worker running?`;
  return player.trouble ? `This stretch cannot be shown: ${player.trouble}` : "";
}

/** @param {Feed} shown */
function factsOf(shown) {
  const f = shown.facts;
  const parts = f ? [`${f.width} × ${f.height}`, f.codec, `profile ${f.profile}`] : [];
  if (shown.ended) parts.push(`ended (${shown.ended})`);
  if (shown.errors) parts.push(`${shown.errors} error${shown.errors > 1 ? "s" : ""}`);
  return parts.join(" · ");
}

/** @param {Feed} shown @param {number} at */
function sceneInWords(shown, at) {
  const there = shown.known(at).filter((e) => shown.stateOf(e, at).state === "live");
  const names = there.map((e) => `${e.entity} ${shown.nameOf(e.entity)}`).join(", ");
  return `${shown.name} at ${clock(Math.max(0, at))}: ${names || "nobody"} in sight`;
}

/** @param {number} us */
function seek(us) {
  player.seek(us);
  refresh();
}

/** @param {number} entity */
function follow(entity) {
  look.followed = look.followed === entity ? 0 : entity;
  look.hidden.delete(entity);
  player.redraw();
  refresh();
}

/** @param {number} entity */
function hide(entity) {
  if (!look.hidden.delete(entity)) look.hidden.add(entity);
  if (look.followed === entity) look.followed = 0;
  player.redraw();
  refresh();
}

/** @param {string} text */
function announce(text) {
  const said = document.createElement("p");
  said.textContent = text;
  by("news").append(said);
  while (by("news").childElementCount > 3) by("news").firstElementChild.remove();
  setTimeout(() => said.remove(), 12000);
}

/** @param {unknown} e */
function complain(e) {
  say(by("query-note"), e instanceof Refused ? e.message : "The viewer's server does not answer.");
}

/** @param {string} query */
async function takeBack(query) {
  try {
    await ask(ofFeed(feed.name, "queries", query), { method: "DELETE" });
    say(by("query-note"), "");
  } catch (e) {
    complain(e);
  }
}

by("ask").addEventListener("submit", async (event) => {
  event.preventDefault();
  const input = by("query"), text = input.value.trim();
  if (!feed || !text) return;
  try {
    const init = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ text }) };
    const { unknown } = await (await ask(ofFeed(feed.name, "queries"), init)).json();
    input.value = "";
    say(by("query-note"), unknown.length ? `Not understood, and without effect: ${unknown.join(", ")}` : feed.ended ? "Asked. The feed has ended: nobody answers unless it goes on." : "Asked from the next chunk on.");
  } catch (e) {
    complain(e);
  }
});
by("play").addEventListener("click", () => player.toggle());
by("back").addEventListener("click", () => player.step(-1));
by("on").addEventListener("click", () => player.step(1));
by("live").addEventListener("click", () => player.goLive());
by("range").addEventListener("change", refresh);
by("stage").addEventListener("click", () => player.toggle());
by("help-close").addEventListener("click", () => by("help").close());
by("help-open").addEventListener("click", () => by("help").showModal());
document.addEventListener("visibilitychange", () => player.grown());
new ResizeObserver(refresh).observe(by("timeline"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", refresh);
listen({
  play: () => player.toggle(),
  step: (way) => player.step(way),
  live: () => player.goLive(),
  query: () => by("query").focus(),
  entity: (nth) => {
    const chosen = nth ? feed?.listed(player.at_us)[nth - 1] : undefined;
    if (chosen && look.followed !== chosen.entity) follow(chosen.entity);
    else if (look.followed) follow(look.followed);
  },
  hide: () => look.followed && hide(look.followed),
  help: () => by("help").showModal(),
});
