// Tables of rows that are made in a test.

import { Table } from "../src/core/table";
import { KINDS, type Kind, STATUSES, type Status } from "../src/wire";

export interface Made {
  parent?: number;
  kind: Kind;
  name: string;
  status?: Status;
  agent?: string;
  model?: string;
  note?: string;
  start?: number;
  end?: number | null;
  self?: number;
}

export function made(rows: Made[]): Table {
  const strings = [""];
  const text = (value = "") => (value ? strings.push(value) - 1 : 0);
  const table = new Table();
  const texts = (key: "name" | "agent" | "model" | "note") => Uint32Array.from(rows, (row) => text(row[key]));
  table.apply({
    seq: 1,
    base: 0,
    rows: rows.length,
    now: 0,
    run: {} as never,
    stringsAt: 0,
    strings,
    columns: new Map<string, never>(
      Object.entries({
        row: Uint32Array.from(rows.keys()),
        parent: Int32Array.from(rows, (row) => row.parent ?? -1),
        kind: Uint8Array.from(rows, (row) => KINDS.indexOf(row.kind)),
        status: Uint8Array.from(rows, (row) => STATUSES.indexOf(row.status ?? "ok")),
        start: Float64Array.from(rows, (row, i) => row.start ?? i),
        end: Float64Array.from(rows, (row, i) =>
          row.end === null ? Number.NaN : (row.end ?? (row.start ?? i) + 1),
        ),
        self: Float64Array.from(rows, (row) => row.self ?? Number.NaN),
        name: texts("name"),
        agent: texts("agent"),
        model: texts("model"),
        note: texts("note"),
      }) as [string, never][],
    ),
  });
  return table;
}
