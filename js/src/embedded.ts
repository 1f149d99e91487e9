// What a page that stands alone holds: frames as base64 in its elements, and views that one script makes for another.

export interface PageViews {
  /** Shows a run in an element; returns what takes it away. Set by the script of a run's page. */
  agtrMountRun?: (element: HTMLElement, frame: Uint8Array) => () => void;
}

/** The bytes that an element holds; undefined where there is no such element. */
export function bytesOf(id: string): Uint8Array | undefined {
  const text = document.getElementById(id)?.textContent;
  return text ? Uint8Array.from(atob(text.trim()), (c) => c.charCodeAt(0)) : undefined;
}
