// The regions that queries are asked in, over the picture.
import { fitting, screenPx } from "./draw.js";

/** @typedef {{corners: [number, number][], text: string}} Region corners in fractions of the frame */

const LABEL_PX = 11, DASH_PX = 6;

/** Draw each region's rim, dark and light so that it shows on any picture, and at its lower left what is asked there.
 * @param {HTMLCanvasElement} canvas @param {Region[]} regions */
export function outline(canvas, regions) {
  const context = canvas.getContext("2d"), size = screenPx(canvas, LABEL_PX), dash = screenPx(canvas, DASH_PX);
  /** @type {Map<string, number>} */
  const labels = new Map(); // how many stand at a corner: the next goes above them
  context.save();
  context.lineWidth = dash / 2; // at the frame's edge its outer half is cut off
  context.font = `600 ${size}px system-ui, sans-serif`;
  context.textBaseline = "bottom";
  context.fillStyle = "#fff";
  context.shadowColor = "#000";
  for (const { corners, text } of regions) {
    const rim = new Path2D();
    for (const [x, y] of corners) rim.lineTo(x * canvas.width, y * canvas.height);
    rim.closePath();
    context.shadowBlur = 0;
    context.setLineDash([]);
    context.strokeStyle = "#000";
    context.stroke(rim);
    context.setLineDash([dash, dash]);
    context.strokeStyle = "#fff";
    context.stroke(rim);
    const [x, y] = corners.reduce((low, at) => (at[1] - at[0] > low[1] - low[0] ? at : low));
    const above = labels.get(`${x} ${y}`) ?? 0;
    labels.set(`${x} ${y}`, above + 1);
    context.shadowBlur = size / 3;
    context.fillText(fitting(context, text, canvas.width * 0.4), x * canvas.width + dash, y * canvas.height - dash - above * size * 1.3);
  }
  context.restore();
}
