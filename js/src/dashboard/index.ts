// The dashboard's entry for anywidget. State lives in the model's closure; views come and go.

import { type Host, Opener } from "../runs/kernel";
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

export default () => {
  let connection: ReturnType<typeof connect> | undefined;
  return {
    // Listens from here on: messages that come before the first view must not be lost.
    initialize({ model }: { model: Host }) {
      connection = connect(model);
      return connection.disconnect;
    },
    render({ model, el }: { model: Host; el: HTMLElement }) {
      if (connection) return mountDashboard(el, connection.store, connection.open);
      const own = connect(model);
      const unmount = mountDashboard(el, own.store, own.open);
      return () => {
        unmount();
        own.disconnect();
      };
    },
  };
};
