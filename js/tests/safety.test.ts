import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const SOURCES = fileURLToPath(new URL("../src/", import.meta.url));
const files = readdirSync(SOURCES, { recursive: true, encoding: "utf8" }).filter((name) =>
  /\.tsx?$/.test(name),
);

// Ways in which a text could become markup, a script or a request.
const FORBIDDEN =
  /innerHTML|outerHTML|insertAdjacentHTML|createContextualFragment|document\.write|DOMParser|srcdoc|\beval\b|new Function|setTimeout\("|\bfetch\(|XMLHttpRequest|sendBeacon|WebSocket|EventSource|\bimport\(|new Image\b|<(img|iframe|script|object|embed|video|audio|link|base|form)\b/;

// The one module that is made of a text: the kernel sends it, as it sent the base. Its address is a blob of this page.
const THE_PANELS = "      await import(address).finally(() => URL.revokeObjectURL(address));";

describe("the sources", () => {
  it("are found", () => expect(files.length).toBeGreaterThan(30));

  it.each(files)("%s makes no markup of texts and asks for nothing", (name) => {
    const lines = readFileSync(SOURCES + name, "utf8").split("\n");
    const found = lines.filter((line) => FORBIDDEN.test(line));
    expect(found).toEqual(name === "panels/arrival.ts" ? [THE_PANELS] : []);
  });

  it("have links only to addresses that were looked at", () => {
    const linking = files.filter((name) => /href=/.test(readFileSync(SOURCES + name, "utf8")));
    expect(linking).toEqual(["views/Acts.tsx"]);
  });
});
