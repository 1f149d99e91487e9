// A page that stands alone: the frame is in the document, nobody answers. In the page of a list of runs there is no
// frame yet; the list's script asks for views.

import { bytesOf, type PageViews } from "./embedded";
import { mount } from "./mount";
import { RunStore } from "./store";

const mountRun = (element: HTMLElement, frame: Uint8Array) => {
  const store = new RunStore();
  store.receive(frame);
  return mount(element, store);
};

(globalThis as PageViews).agtrMountRun = mountRun;
const frame = bytesOf("agtr-frame");
const element = document.getElementById("agtr-view");
if (element && frame) mountRun(element, frame);
