// The heatmap's entry for anywidget. What it shows does not change; the runs behind a cell are a widget of their own.

import { type Host, Opener } from "../runs/kernel";
import { widget } from "../widget";
import { gridOf } from "./grid";
import { mountHeatmap } from "./mount";

function connect(model: Host) {
  const opener = new Opener(model);
  const onMessage = (message: never) => opener.hear(message);
  model.on("msg:custom", onMessage);
  const disconnect = () => model.off("msg:custom", onMessage);
  return { grid: () => gridOf(model.get("_snapshot")), open: opener.open, disconnect };
}

export default widget(connect, (el, { grid, open }) => mountHeatmap(el, grid(), open));
