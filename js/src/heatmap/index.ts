// The heatmap's entry for anywidget. What it shows does not change; the runs behind a cell are a widget of their own.

import { type Host, Opener } from "../runs/kernel";
import { gridOf } from "./grid";
import { mountHeatmap } from "./mount";

function connect(model: Host) {
  const opener = new Opener(model);
  const onMessage = (message: never) => opener.hear(message);
  model.on("msg:custom", onMessage);
  return { open: opener.open, disconnect: () => model.off("msg:custom", onMessage) };
}

export default () => {
  let connection: ReturnType<typeof connect> | undefined;
  return {
    initialize({ model }: { model: Host }) {
      connection = connect(model);
      return connection.disconnect;
    },
    render({ model, el }: { model: Host; el: HTMLElement }) {
      const grid = gridOf(model.get("_snapshot"));
      if (connection) return mountHeatmap(el, grid, connection.open);
      const own = connect(model);
      const unmount = mountHeatmap(el, grid, own.open);
      return () => {
        unmount();
        own.disconnect();
      };
    },
  };
};
