// report.html's own part: draws its frames and its timeline with what the live viewer draws with.
import { Painter } from "./viewer/static/draw.js";
import { drawTimeline, entityAt, heightOf, inWords, nameWidth, wordsAt } from "./viewer/static/timeline.js";

const data = JSON.parse(document.getElementById("data").textContent);
const called = new Map(data.rows.map((row) => [row.entity, row.name]));
const look = { hidden: new Set(), followed: 0, name: (entity) => `${entity} ${called.get(entity) ?? ""}` };
const painter = new Painter();
const stills = [...document.querySelectorAll(".stills img")].map((image, i) => {
  const canvas = document.createElement("canvas");
  canvas.setAttribute("role", "img");
  const named = data.stills[i].map((m) => look.name(m.entity));
  canvas.setAttribute("aria-label", `${image.alt}: ${named.join(", ") || "nobody"}`);
  image.replaceWith(canvas);
  return { image, canvas, masks: data.stills[i] };
});
const timeline = document.getElementById("timeline");

function paint() {
  for (const { image, canvas, masks } of stills) if (image.naturalWidth) painter.paint(canvas, image, masks, look);
  timeline.style.height = `${heightOf(data.rows.length)}px`;
  drawTimeline(timeline, { ...data, at_us: -1, followed: look.followed });
  for (const button of document.querySelectorAll("[data-entity]")) {
    button.setAttribute("aria-pressed", String(Number(button.dataset.entity) === look.followed));
  }
}

/** The first frame with its masks stands for the video until it plays. */
function poster() {
  const video = document.querySelector("video"), first = stills[0];
  if (!video || !first?.image.naturalWidth) return;
  const canvas = document.createElement("canvas");
  painter.paint(canvas, first.image, first.masks, look);
  video.poster = canvas.toDataURL("image/jpeg", 0.85);
}

function follow(entity) {
  look.followed = look.followed === entity ? 0 : entity;
  paint();
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-entity]");
  if (button) follow(Number(button.dataset.entity));
});
timeline.addEventListener("click", (event) => {
  const box = timeline.getBoundingClientRect();
  const entity = event.clientX - box.left < nameWidth(box.width) ? entityAt(event.clientY - box.top, data) : 0;
  if (entity) follow(entity);
});
timeline.addEventListener("pointermove", (event) => {
  timeline.title = wordsAt(event.offsetX, event.offsetY, timeline.clientWidth, data);
});
document.getElementById("timeline-words").textContent = inWords(data);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);
new ResizeObserver(paint).observe(timeline);
Promise.all(stills.map(({ image }) => image.decode().catch(() => undefined))).then(() => {
  poster();
  paint();
});
