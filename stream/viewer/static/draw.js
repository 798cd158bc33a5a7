// Drawing that the live viewer and report.html share: colours, COCO run-length masks, names. No other module is imported:
// report.html carries this file inside it.

/** @typedef {{pts_us: number, rle: {size: [number, number], counts: string}, bbox: number[]}} MaskFrame */
/** @typedef {{entity: number, frame: MaskFrame}} Mask */
/** @typedef {{hidden: Set<number>, followed: number, name: (entity: number) => string}} Look */

/** Colours by entity, as overlay.mp4 has them. */
export const PALETTE = [
  "#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4", "#42d4f4", "#f032e6", "#bfef45", "#fabed4", "#469990",
];

const LABEL_PX = 13; // of names, on the screen, however large the picture is

/** @param {number} entity @returns {string} */
export function colourOf(entity) {
  return PALETTE[(((entity - 1) % PALETTE.length) + PALETTE.length) % PALETTE.length];
}

/**
 * COCO's compressed counts to run lengths: numbers of 5 bits a character, low bits first, each but the first three told
 * as the difference to the last but one.
 * @param {string} counts @returns {number[]}
 */
export function runsOf(counts) {
  const runs = [];
  for (let i = 0; i < counts.length; ) {
    let value = 0;
    for (let shift = 0, more = true; more && i < counts.length; shift += 5) {
      const bits = counts.charCodeAt(i++) - 48;
      more = (bits & 0x20) !== 0;
      if (shift < 30) value |= (bits & 0x1f) << shift;
      if (!more && bits & 0x10 && shift < 25) value |= -1 << (shift + 5);
    }
    if (runs.length > 2) value += runs[runs.length - 2];
    runs.push(value);
  }
  return runs;
}

/**
 * A mask as bytes 0 and 1, row by row, of every `step`-th pixel of every `step`-th row. Runs go down the columns.
 * @param {string} counts @param {[number, number]} size height and width @param {number} [step]
 * @returns {{width: number, height: number, data: Uint8Array}}
 */
export function decodeRle(counts, [h, w], step = 1) {
  const width = Math.ceil(w / step), height = Math.ceil(h / step);
  const data = new Uint8Array(width * height);
  let at = 0, inside = false;
  for (const run of runsOf(counts)) {
    const end = Math.min(at + Math.max(0, run), h * w);
    for (let p = at; inside && p < end; ) {
      const x = Math.floor(p / h), top = p - x * h;
      const bottom = Math.min(h, top + end - p);
      if (x % step === 0) {
        for (let y = Math.ceil(top / step), to = Math.ceil(bottom / step), i = y * width + x / step; y < to; y++, i += width) {
          data[i] = 1;
        }
      }
      p += bottom - top;
    }
    at = end;
    inside = !inside;
  }
  return { width, height, data };
}

/** @param {string} colour "#rrggbb" @returns {[number, number, number]} */
function rgb(colour) {
  const n = parseInt(colour.slice(1), 16);
  return [n >> 16, (n >> 8) & 255, n & 255];
}

/** @param {number} r @param {number} g @param {number} b @param {number} a as one little-endian pixel */
function pixel(r, g, b, a) {
  return ((a << 24) | (b << 16) | (g << 8) | r) >>> 0;
}

/** Draws pictures with masks; keeps one canvas for the masks between frames. */
export class Painter {
  constructor() {
    this.layer = document.createElement("canvas");
  }

  /**
   * Draw a picture and the masks of its very frame over a whole canvas.
   * @param {HTMLCanvasElement} canvas @param {CanvasImageSource & {width: number, height: number}} picture
   * @param {Mask[]} masks @param {Look} look @param {() => void} [between] draws what lies over masks and under names
   */
  paint(canvas, picture, masks, look, between = () => {}) {
    if (canvas.width !== picture.width || canvas.height !== picture.height) {
      canvas.width = picture.width;
      canvas.height = picture.height;
    }
    const context = canvas.getContext("2d");
    context.drawImage(picture, 0, 0);
    const shown = masks.filter((m) => !look.hidden.has(m.entity));
    if (shown.length) this.#masks(context, shown, look);
    between();
    if (shown.length === 0) return;
    const scale = canvas.width / shown[0].frame.rle.size[1];
    for (const mask of [...shown].sort((a, b) => Number(a.entity === look.followed) - Number(b.entity === look.followed))) {
      label(context, mask, scale, look);
    }
  }

  /** @param {CanvasRenderingContext2D} context @param {Mask[]} masks @param {Look} look */
  #masks(context, masks, look) {
    const [h, w] = masks[0].frame.rle.size;
    const step = Math.max(1, Math.floor(w / context.canvas.width));
    const width = Math.ceil(w / step), height = Math.ceil(h / step);
    if (this.layer.width !== width || this.layer.height !== height) {
      this.layer.width = width;
      this.layer.height = height;
    }
    const layer = this.layer.getContext("2d");
    const image = layer.createImageData(width, height);
    const pixels = new Uint32Array(image.data.buffer);
    const following = look.followed > 0 && masks.some((m) => m.entity === look.followed);
    for (const mask of masks) {
      const followed = mask.entity === look.followed;
      fill(pixels, decodeRle(mask.frame.rle.counts, mask.frame.rle.size, step), colourOf(mask.entity), following && !followed ? 45 : 115);
    }
    layer.putImageData(image, 0, 0);
    context.drawImage(this.layer, 0, 0, context.canvas.width, context.canvas.height);
  }
}

/**
 * Put a mask's inside and its edge into a picture of little-endian RGBA pixels.
 * @param {Uint32Array} pixels @param {{width: number, height: number, data: Uint8Array}} mask @param {string} colour
 * @param {number} alpha of the inside, to 255
 */
function fill(pixels, { width, height, data }, colour, alpha) {
  const [r, g, b] = rgb(colour);
  const inside = pixel(r, g, b, alpha), edge = pixel(r, g, b, Math.min(255, alpha * 2));
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      if (data[i] === 0) continue;
      const inner = x > 0 && x < width - 1 && y > 0 && y < height - 1;
      pixels[i] = inner && data[i - 1] & data[i + 1] & data[i - width] & data[i + width] ? inside : edge;
    }
  }
}

/** As many pixels of a canvas as so many of the screen. @param {HTMLCanvasElement} canvas @param {number} px @returns {number} */
export function screenPx(canvas, px) {
  return Math.max(1, Math.round((px * canvas.width) / (canvas.clientWidth || canvas.width)));
}

/** Name an entity at the top of its box. @param {CanvasRenderingContext2D} context @param {Mask} mask @param {number} scale @param {Look} look */
function label(context, { entity, frame }, scale, look) {
  const canvas = context.canvas;
  const size = Math.max(8, screenPx(canvas, LABEL_PX)), pad = Math.round(size / 3);
  const followed = entity === look.followed;
  context.font = `600 ${size}px system-ui, sans-serif`;
  context.textBaseline = "middle";
  const text = fitting(context, look.name(entity), canvas.width * (followed ? 0.9 : 0.4));
  const width = context.measureText(text).width;
  const [x0, y0, x1, y1] = frame.bbox.map((v) => v * scale);
  if (followed) {
    context.strokeStyle = colourOf(entity);
    context.lineWidth = Math.max(2, size / 6);
    context.strokeRect(x0, y0, x1 - x0, y1 - y0);
  }
  const left = Math.max(0, Math.min(x0, canvas.width - width - 2 * pad));
  const top = Math.max(0, y0 - size - pad);
  context.fillStyle = colourOf(entity);
  context.fillRect(left, top, width + 2 * pad, size + pad);
  context.fillStyle = dark(colourOf(entity)) ? "#fff" : "#111";
  context.fillText(text, left + pad, top + (size + pad) / 2 + 1);
}

/**
 * A text cut short where it is wider than so many pixels.
 * @param {CanvasRenderingContext2D} context @param {string} text @param {number} width @returns {string}
 */
export function fitting(context, text, width) {
  if (context.measureText(text).width <= width) return text;
  let end = text.length;
  while (end > 1 && context.measureText(`${text.slice(0, end)}…`).width > width) end--;
  return `${text.slice(0, end).trimEnd()}…`;
}

/** Whether white reads better than black on a colour. @param {string} colour */
function dark(colour) {
  const [r, g, b] = rgb(colour);
  return 0.299 * r + 0.587 * g + 0.114 * b < 140;
}

/** Minutes and seconds as people write them: 00:18.4. @param {number} us @returns {string} */
export function clock(us) {
  const tenths = Math.round(us / 100000);
  const two = (n) => String(n).padStart(2, "0");
  return `${two(Math.floor(tenths / 600))}:${two(Math.floor(tenths / 10) % 60)}.${tenths % 10}`;
}
