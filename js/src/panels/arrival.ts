// How the panels get to a base view. In a notebook the kernel sends their text, unasked right after the first frame, so
// that nothing waits for a kernel that is busy; in a page that stands alone a script has put them where they are found.

import { signal } from "@preact/signals";
import type { Panels } from "./index";
import * as shared from "./shared";

/** Set by the build: the version of the panels that belongs to this base. */
declare const PANELS: string;

/** What the page has of panels, by version. Each view makes its own of them: each has libraries of its own. */
type Registry = Record<string, ((lent: typeof shared) => Panels) | undefined>;

const page = globalThis as { agtrPanels?: Registry };

const made = () => page.agtrPanels?.[PANELS]?.(shared);

/** Undefined until they are here. */
export const panels = signal<Panels | undefined>(made());

/** Why they cannot be here. */
export const refused = signal<string | undefined>(undefined);

/** Takes the text of the panels. It is read once in a page, as the base was: as a module from an address of its own. */
export async function take(text: BlobPart): Promise<void> {
  if (panels.peek()) return;
  try {
    if (!page.agtrPanels?.[PANELS]) {
      const address = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
      await import(address).finally(() => URL.revokeObjectURL(address));
    }
    panels.value ??= made();
    if (!panels.value) refused.value = "the kernel has another version";
  } catch (error) {
    refused.value = error instanceof Error ? error.message : String(error);
  }
}

/** Puts the styles of the panels where a view is, once: in the page, or in the shadow root that hides it from them. */
export function dress(element: HTMLElement): void {
  const root = element.getRootNode();
  const place = root instanceof ShadowRoot ? root : document.head;
  const id = `agtr-panels-${PANELS}`;
  if (!panels.value || place.querySelector(`#${id}`)) return;
  const style = document.createElement("style");
  style.id = id;
  style.textContent = panels.value.css;
  place.append(style);
}
