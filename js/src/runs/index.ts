// The list's entry for anywidget. State lives in the model's closure; views come and go.

import { signal } from "@preact/signals";
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

export default () => {
  let connection: ReturnType<typeof connect> | undefined;
  return {
    initialize({ model }: { model: Host }) {
      connection = connect(model);
      return connection.disconnect;
    },
    render({ model, el }: { model: Host; el: HTMLElement }) {
      if (connection) return mountList(el, connection.list, connection.open);
      const own = connect(model);
      const unmount = mountList(el, own.list, own.open);
      return () => {
        unmount();
        own.disconnect();
      };
    },
  };
};
