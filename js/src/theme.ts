// Light or dark, as the page around the view says: JupyterLab and VS Code do not set prefers-color-scheme.

import { type Signal, signal } from "@preact/signals";

export type Theme = "light" | "dark";

const dark = () => window.matchMedia?.("(prefers-color-scheme: dark)");

export function pageTheme(): Theme {
  const { body, documentElement: html } = document;
  const lab = body.getAttribute("data-jp-theme-light");
  if (lab !== null) return lab === "false" ? "dark" : "light";
  if (/\bvscode-(dark|high-contrast)(?!-light)\b/.test(body.className)) return "dark";
  if (/\bvscode-/.test(body.className)) return "light";
  const said = html.getAttribute("data-theme") ?? html.getAttribute("theme");
  if (said) return said.includes("dark") ? "dark" : "light";
  if (html.classList.contains("dark")) return "dark";
  return dark()?.matches ? "dark" : "light";
}

/** The theme, with a number that counts its changes, so that canvases are painted anew. */
export type PageTheme = Signal<{ name: Theme; change: number }>;

/** Follows the page's theme. */
export function followTheme(): { theme: PageTheme; stop: () => void } {
  const theme: PageTheme = signal({ name: pageTheme(), change: 0 });
  const update = () => {
    theme.value = { name: pageTheme(), change: theme.value.change + 1 };
  };
  const observer = new MutationObserver(update);
  const attributes = ["class", "data-jp-theme-light", "data-jp-theme-name", "data-theme", "theme", "style"];
  observer.observe(document.body, { attributes: true, attributeFilter: attributes });
  observer.observe(document.documentElement, { attributes: true, attributeFilter: attributes });
  const media = dark();
  media?.addEventListener("change", update);
  return {
    theme,
    stop: () => {
      observer.disconnect();
      media?.removeEventListener("change", update);
    },
  };
}
