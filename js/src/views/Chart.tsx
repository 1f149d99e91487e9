// Tables that are charts: a row for each thing, a bar among its cells. Who does not see the bars reads the figures.

import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { ticks } from "../core/axis";

const AXIS_PX = 560;

interface Props<T> {
  /** Heads of the columns; "" over bars. */
  heads: string[];
  rows: T[];
  /** The rows that are shown before all are asked for. */
  first: T[];
  cells: (row: T) => ComponentChildren[];
  on: (row: T) => boolean;
  class?: string;
}

export function Chart<T>({ heads, rows, first, cells, on, class: name = "" }: Props<T>) {
  const all = useSignal(false);
  return (
    <>
      <table class={`agtr-chart ${name}`}>
        <thead>
          <tr>{heads.map((head) => (head ? <th scope="col">{head}</th> : <td />))}</tr>
        </thead>
        <tbody>
          {(all.value ? rows : first).map((row) => {
            const [what, ...others] = cells(row);
            return (
              <tr class={on(row) ? "agtr-on" : ""}>
                <th scope="row">{what}</th>
                {others.map((cell) => (
                  <td>{cell}</td>
                ))}
              </tr>
            );
          })}
        </tbody>
      </table>
      {first.length < rows.length && (
        <button
          type="button"
          class="agtr-link"
          onClick={() => {
            all.value = !all.value;
          }}
        >
          {all.value ? "only the first" : `all ${rows.length}`}
        </button>
      )}
    </>
  );
}

export interface Part {
  /** Class of the colour. */
  kind: string;
  ms: number;
  row?: number;
  title?: string;
}

/** Parts of a whole, one after the other; what they say stands beside it in words. */
export function Stack(props: { parts: Part[]; whole: number; high?: number; onRow?: (row: number) => void }) {
  const { parts, whole, high = 12, onRow } = props;
  let at = 0;
  return (
    <svg
      width="100%"
      height={high}
      aria-hidden="true"
      onClick={(event) => {
        const row = Number((event.target as SVGElement).dataset.row ?? -1);
        if (row >= 0) onRow?.(row);
      }}
    >
      {parts.map(({ kind, ms, row, title }) => {
        const x = at;
        at += (100 * ms) / whole;
        return (
          <rect class={kind} data-row={row} x={`${x}%`} width={`${at - x}%`} height={high}>
            {title && <title>{title}</title>}
          </rect>
        );
      })}
    </svg>
  );
}

/** Ticks under a chart that is as wide as its box. */
export function Scale({ length }: { length: number }) {
  return (
    <div class="agtr-scale" aria-hidden="true">
      {ticks(0, length, AXIS_PX).map((tick) => (
        <span style={{ left: `${(100 * tick.at) / length}%` }}>{tick.label}</span>
      ))}
    </div>
  );
}
