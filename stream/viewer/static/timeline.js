// The timeline as the live viewer and report.html draw it: segments above, a row an entity below.
import { clock, colourOf, fitting } from "./draw.js";

/** @typedef {{entity: number, name: string, presences: [number, number, string][], actions: [number, number, string][]}} Row */
/**
 * @typedef {object} Telling
 * @property {number} from_us
 * @property {number} to_us
 * @property {number} at_us where the playing is, -1 for nowhere
 * @property {{start_us: number, end_us: number, opened: string}[]} segments
 * @property {[number, number, string][]} gaps
 * @property {Row[]} rows
 * @property {number} followed
 */

const HEAD = 22, ROW = 24, FOOT = 20;

/** How wide the names left of the rows are. @param {number} width @returns {number} */
export function nameWidth(width) {
  return Math.min(190, Math.max(96, Math.round(width * 0.22)));
}

/** The height a timeline wants, CSS pixels. @param {number} rows @returns {number} */
export function heightOf(rows) {
  return HEAD + Math.max(1, rows) * ROW + FOOT;
}

/** The time at a place of the timeline. @param {number} x @param {number} width @param {Telling} t @returns {number} */
export function timeAt(x, width, t) {
  const left = nameWidth(width);
  const share = Math.min(1, Math.max(0, (x - left) / Math.max(1, width - left - 1)));
  return Math.round(t.from_us + share * (t.to_us - t.from_us));
}

/** The entity whose row is at a place, 0 for none. @param {number} y @param {Telling} t @returns {number} */
export function entityAt(y, t) {
  return t.rows[Math.floor((y - HEAD) / ROW)]?.entity ?? 0;
}

/** Draw it all, sharp on any screen. @param {HTMLCanvasElement} canvas @param {Telling} t */
export function drawTimeline(canvas, t) {
  const width = canvas.clientWidth, height = canvas.clientHeight, density = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * density);
  canvas.height = Math.round(height * density);
  const context = canvas.getContext("2d");
  context.scale(density, density);
  const style = getComputedStyle(canvas);
  const ink = (name) => style.getPropertyValue(name).trim() || "#888";
  const left = nameWidth(width), long = Math.max(1, t.to_us - t.from_us);
  const x = (us) => left + ((us - t.from_us) / long) * (width - left - 1);
  const bar = (start, end, top, tall, least = 2) => {
    const from = Math.max(left, x(start)), to = Math.min(width, Math.max(x(start) + least, x(end)));
    if (to > from) context.fillRect(from, top, to - from, tall);
  };
  const bottom = HEAD + Math.max(1, t.rows.length) * ROW;
  context.font = "12px system-ui, sans-serif";
  context.textBaseline = "middle";
  names(context, t, left, ink);

  t.segments.forEach((s, i) => {
    context.fillStyle = ink(i % 2 ? "--segment-b" : "--segment-a");
    bar(s.start_us, s.end_us, 5, HEAD - 10);
    context.fillStyle = ink("--line");
    if (s.start_us >= t.from_us && s.start_us <= t.to_us) context.fillRect(x(s.start_us), 0, 1, bottom);
  });
  context.fillStyle = ink("--gap");
  for (const [start, end] of t.gaps) bar(start, end, 0, bottom);
  t.rows.forEach((row, i) => drawRow(context, row, HEAD + i * ROW, { bar, x, left, width, t, ink }));
  ticks(context, t, { x, left, width, bottom, ink });
  if (t.at_us >= t.from_us && t.at_us <= t.to_us) {
    context.fillStyle = ink("--accent");
    context.fillRect(x(t.at_us) - 1, 0, 2, bottom);
  }
}

function names(context, t, left, ink) {
  context.save();
  context.beginPath();
  context.rect(0, 0, left - 6, HEAD + t.rows.length * ROW);
  context.clip();
  context.fillStyle = ink("--soft");
  context.fillText("segments", 0, HEAD / 2);
  t.rows.forEach((row, i) => {
    const y = HEAD + i * ROW + ROW / 2;
    context.fillStyle = colourOf(row.entity);
    context.fillRect(0, y - 6, 4, 12);
    context.fillStyle = ink(row.entity === t.followed ? "--accent" : "--fg");
    context.fillText(fitting(context, `${row.entity} ${row.name}`, left - 17), 9, y);
  });
  context.restore();
}

function drawRow(context, row, top, { bar, x, left, width, t, ink }) {
  context.fillStyle = ink("--track");
  context.fillRect(left, top + 4, width - left, 12);
  context.fillStyle = colourOf(row.entity);
  for (const [start, end] of row.presences) bar(start, end, top + 4, 12);
  context.fillStyle = ink("--fg");
  for (const [start, end] of row.actions) bar(start, end, top + 18, 2, 3);
  row.presences.forEach(([start, end, why], i) => {
    if (why && end >= t.from_us && end <= t.to_us) {
      notch(context, x(end), top + 10, ink("--fg"), 1); // it left
      const room = Math.min(width, x(row.presences[i + 1]?.[0] ?? t.to_us)) - x(end) - 18;
      if (context.measureText(why).width <= room) context.fillText(why, x(end) + 10, top + 10.5);
    }
    if (i > 0 && row.presences[i - 1][2] && start >= t.from_us && start <= t.to_us) {
      notch(context, x(start), top + 10, ink("--fg"), -1); // it came back
    }
  });
}

/** A triangle at an exit (pointing away from what was) or a re-entry. */
function notch(context, x, y, colour, way) {
  context.fillStyle = colour;
  context.beginPath();
  context.moveTo(x, y - 6);
  context.lineTo(x + way * 6, y);
  context.lineTo(x, y + 6);
  context.fill();
}

function ticks(context, t, { x, left, width, bottom, ink }) {
  const steps = [1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600].map((s) => s * 1e6);
  const room = Math.max(1, Math.floor((width - left) / 70));
  const step = steps.find((s) => (t.to_us - t.from_us) / s <= room) ?? 7200e6;
  context.fillStyle = ink("--soft");
  for (let at = Math.ceil(t.from_us / step) * step; at <= t.to_us; at += step) {
    const text = clock(at), half = context.measureText(text).width / 2;
    context.fillRect(x(at), bottom, 1, 4);
    context.fillText(text, Math.min(width - 2 * half, Math.max(left, x(at) - half)), bottom + 12);
  }
}

/**
 * What lies at a place of the timeline, in words; "" for nothing.
 * @param {number} x @param {number} y @param {number} width @param {Telling} t @returns {string}
 */
export function wordsAt(x, y, width, t) {
  const at = timeAt(x, width, t), under = ([start, end]) => start <= at && at <= end;
  if (y < HEAD) {
    const s = t.segments.find((found) => under([found.start_us, found.end_us]));
    return s ? `segment ${s.segment}: ${clock(s.start_us)} to ${clock(s.end_us)}, opened by ${s.opened}` : "";
  }
  const row = t.rows[Math.floor((y - HEAD) / ROW)];
  if (!row) return "";
  if (x < nameWidth(width)) return `${row.entity} ${row.name}`;
  const there = row.presences.find(under), acts = row.actions.filter(under).map(([start, end, text]) => `${clock(start)} to ${clock(end)} ${text}`);
  return [there ? `${clock(there[0])} to ${clock(there[1])}${there[2] ? `, then ${there[2]}` : ""}` : "", ...acts].filter(Boolean).join("; ");
}

/** What a timeline says, in words. @param {Telling} t @returns {string} */
export function inWords(t) {
  const row = (r) => `${r.entity} ${r.name}: ` + r.presences.map(([a, b, why]) => `${clock(a)} to ${clock(b)}${why ? `, then ${why}` : ""}`).join("; ");
  return `${t.segments.length} segments. ` + t.rows.map(row).join(". ");
}
