// The heatmap: one tab stop, arrows between cells, and the runs behind the cell that is opened below it.

import { useEffect, useMemo, useRef } from "preact/hooks";
import { Opened, type OpenRun } from "../runs/Opened";
import { type Grid, GridState } from "./grid";

const WAYS: Record<string, [number, number]> = {
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
};

export function HeatmapView({ grid, open }: { grid: Grid; open: OpenRun }) {
  const view = useMemo(() => new GridState(grid), [grid]);
  const table = useRef<HTMLTableElement>(null);
  const opened = view.opened.value;
  const before = useRef(opened);
  const focusCell = () => table.current?.querySelector<HTMLElement>("[tabindex='0']")?.focus();

  useEffect(() => {
    if (before.current >= 0 && opened < 0) focusCell();
    before.current = opened;
  }, [opened]);

  const onKeyDown = (event: KeyboardEvent) => {
    const way = WAYS[event.key];
    if (event.key === "Escape" && opened >= 0) view.close();
    else if (way) {
      view.at.value = view.toward(...way);
      queueMicrotask(focusCell);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  };

  const index = new Map(grid.cells.map(([row, column], at) => [`${row} ${column}`, at]));
  return (
    <div class="agtr-view agtr-heatmap">
      <p class="agtr-heat-head">
        <b>{grid.title}</b>
        <span class="agtr-heat-about">{grid.note}</span>
      </p>
      <div class="agtr-heat-wide">
        <table aria-label={grid.title} ref={table}>
          <thead>
            <tr>
              <th scope="col">{`${grid.down} / ${grid.across}`}</th>
              {grid.columns.map((column) => (
                <th scope="col" key={column} title={column}>
                  {column}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {grid.rows.map((name, row) => (
              <tr key={name}>
                <th scope="row" title={name}>
                  {name}
                </th>
                {grid.columns.map((column, at) => (
                  <HeatCell key={column} view={view} cell={index.get(`${row} ${at}`)} keys={onKeyDown} />
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {grid.more && <p class="agtr-heat-about agtr-heat-more">{grid.more}</p>}
      {opened >= 0 && <Opened view={view} open={open} row={opened} back="Only the table" />}
    </div>
  );
}

interface CellProps {
  view: GridState;
  cell: number | undefined;
  keys: (event: KeyboardEvent) => void;
}

function HeatCell({ view, cell, keys }: CellProps) {
  const of = cell === undefined ? undefined : view.grid.cells[cell];
  if (cell === undefined || !of) return <td />;
  const [, , strength, text, words] = of;
  return (
    <td>
      <button
        type="button"
        class={strength < 0 ? "agtr-heat agtr-heat-good" : "agtr-heat"}
        style={{ "--heat": `${Math.round(10 + 42 * Math.abs(strength))}%` }}
        tabIndex={view.at.value === cell ? 0 : -1}
        aria-pressed={view.opened.value === cell}
        aria-label={words}
        title={words}
        onClick={() => view.open(cell)}
        onKeyDown={keys}
      >
        {text}
      </button>
    </td>
  );
}
