// Keys of the page. While something is typed, only Escape is ours.

/** @typedef {{play: () => void, step: (way: 1 | -1) => void, live: () => void, query: () => void, entity: (nth: number) => void, hide: () => void, help: () => void}} Does */

/** @param {Does} does */
export function listen(does) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const target = /** @type {HTMLElement} */ (event.target);
    if (target.matches("input, textarea, select")) {
      if (event.key === "Escape") target.blur();
      return;
    }
    if (event.key === " " && target.matches("button, summary")) return; // it presses the button
    if (target.matches("[role=slider]") && event.key.startsWith("Arrow")) return; // the timeline's own
    const act = actOf(event.key, does);
    if (!act) return;
    event.preventDefault();
    act();
  });
}

/** @param {string} key @param {Does} does @returns {(() => void) | undefined} */
function actOf(key, does) {
  if (/^[0-9]$/.test(key)) return () => does.entity(Number(key));
  return {
    " ": does.play,
    ArrowLeft: () => does.step(-1),
    ArrowRight: () => does.step(1),
    l: does.live,
    L: does.live,
    h: does.hide,
    H: does.hide,
    "/": does.query,
    "?": does.help,
  }[key];
}
