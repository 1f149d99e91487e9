// A list in a page that stands alone: small runs are in the document, nobody answers.

import { signal } from "@preact/signals";
import { bytesOf, type PageViews } from "../embedded";
import { RunList } from "./list";
import { mountList } from "./mount";
import type { OpenRun } from "./Opened";

const open: OpenRun = async (row, place) => {
  const frame = bytesOf(`agtr-frame-${row}`);
  const { agtrMountRun } = globalThis as PageViews;
  if (!frame || !agtrMountRun) throw new Error("it is not in this page");
  const inner = place.appendChild(document.createElement("div"));
  const unmount = agtrMountRun(inner, frame);
  return () => {
    unmount();
    inner.remove();
  };
};

const list = bytesOf("agtr-list");
const element = document.getElementById("agtr-view");
if (element && list) mountList(element, signal(new RunList(list)), open);
