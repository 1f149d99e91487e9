// The dashboard's entry for anywidget.

import { type Host, Opener } from "../runs/kernel";
import { widget } from "../widget";
import { mountDashboard } from "./mount";
import { DashboardStore } from "./store";

function connect(model: Host) {
  const store = new DashboardStore(model.send ? (message) => model.send?.(message) : undefined);
  const opener = new Opener<string>(model);
  const onMessage = (message: { kind?: string }, buffers: DataView[]) => {
    if (message?.kind === "patch" && buffers[0]) store.receive(buffers[0]);
    else opener.hear(message as never);
  };
  const onSnapshot = () => {
    const snapshot = model.get("_snapshot");
    if (snapshot instanceof DataView || snapshot instanceof Uint8Array) store.receive(snapshot);
  };
  onSnapshot();
  model.on("msg:custom", onMessage as never);
  model.on("change:_snapshot", onSnapshot as never);
  const disconnect = () => {
    model.off("msg:custom", onMessage as never);
    model.off("change:_snapshot", onSnapshot as never);
  };
  return { store, open: opener.open, disconnect };
}

export default widget(connect, (el, { store, open }) => mountDashboard(el, store, open));
