// What is not in the base view: the panels beside the tree, the map under it, and cards that read what they show.

import css from "../styles/panels.css";
import { Card } from "../views/Card";
import { Graph } from "../views/Graph";
import { Latency } from "../views/Latency";
import { Messages } from "../views/Messages";
import { Minimap } from "../views/Minimap";

export const panels = { Card, Graph, Latency, Messages, Minimap, css };

export type Panels = typeof panels;
