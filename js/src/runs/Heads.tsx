// The heads of the columns: each sorts by its column. The grid has the focus; its keys come here as signals.

import type { ColumnSpec } from "./columns";
import type { ListState } from "./state";

export function Heads({ view, columns, id }: { view: ListState; columns: ColumnSpec[]; id: string }) {
  const sort = view.sort.value;
  return (
    <div class="agtr-run agtr-run-heads" role="row" aria-rowindex={1}>
      {columns.map(({ name, title, hint, right }, at) => {
        const sorted = sort?.column === name ? (sort.descending ? "descending" : "ascending") : "none";
        const on = view.headed.value === at ? " agtr-on" : "";
        return (
          <div
            key={name}
            id={`${id}-h${at}`}
            role="columnheader"
            aria-colindex={at + 1}
            aria-sort={sorted}
            class={`agtr-c-${name}${right ? " agtr-right" : ""}${on}`}
          >
            <button
              type="button"
              class="agtr-sort"
              tabIndex={-1}
              title={hint}
              onClick={() => view.sortBy(name)}
            >
              {title}
              {sorted !== "none" && (
                <i class="agtr-sorted" aria-hidden="true">
                  {sorted === "ascending" ? "\u25b4" : "\u25be"}
                </i>
              )}
            </button>
          </div>
        );
      })}
    </div>
  );
}
