// The list's entry for anywidget.

import { signal } from "@preact/signals";
import { widget } from "../widget";
import { type Host, Opener } from "./kernel";
import { RunList } from "./list";
import { mountList } from "./mount";

function connect(model: Host) {
  const data = () => {
    const snapshot = model.get("_snapshot");
    if (snapshot instanceof DataView || snapshot instanceof Uint8Array) return new RunList(snapshot);
    throw new Error("the list of runs has no data");
  };
  const list = signal(data());
  const opener = new Opener(model);
  const onMessage = (message: never) => opener.hear(message);
  model.on("msg:custom", onMessage);
  return { list, open: opener.open, disconnect: () => model.off("msg:custom", onMessage) };
}

export default widget(connect, (el, { list, open }) => mountList(el, list, open));
