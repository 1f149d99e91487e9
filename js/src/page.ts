// A page that stands alone: the frame is in the document, nobody answers.

import { mount } from "./mount";
import { RunStore } from "./store";

const data = document.getElementById("agtr-frame")?.textContent ?? "";
const bytes = Uint8Array.from(atob(data.trim()), (c) => c.charCodeAt(0));
const store = new RunStore();
store.receive(bytes);
const element = document.getElementById("agtr-view");
if (element) mount(element, store);
