// The colours of the theme, for what is drawn on a canvas.

import { KINDS } from "../wire";

export interface Palette {
  kinds: string[];
  bad: string;
  mute: string;
  line: string;
  path: string;
  focus: string;
  bg: string;
}

const palettes = new WeakMap<Element, { change: number; palette: Palette }>();

/** The colours of the theme, read anew when it changes; undefined while the page has not applied the styles. */
export function readPalette(element: Element, change: number): Palette | undefined {
  const known = palettes.get(element);
  if (known?.change === change) return known.palette;
  const style = getComputedStyle(element);
  const token = (name: string) => style.getPropertyValue(`--agtr-${name}`).trim();
  if (token("line-2") === "") return undefined;
  const palette = {
    kinds: KINDS.map((kind) => token(kind)),
    bad: token("bad"),
    mute: token("ink-3"),
    line: token("line-2"),
    path: token("path"),
    focus: token("focus"),
    bg: token("bg"),
  };
  palettes.set(element, { change, palette });
  return palette;
}

/** A canvas made as large as it is on screen, at the screen's resolution, and empty. */
export function cleared(
  canvas: HTMLCanvasElement,
  width: number,
  height: number,
): CanvasRenderingContext2D | null {
  const ratio = window.devicePixelRatio || 1;
  const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== w) canvas.width = w;
  if (canvas.height !== h) canvas.height = h;
  const context = canvas.getContext("2d");
  context?.setTransform(ratio, 0, 0, ratio, 0, 0);
  context?.clearRect(0, 0, width, height);
  return context;
}
