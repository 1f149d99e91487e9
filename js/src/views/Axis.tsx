// The line above the rows: how many there are, and the time axis, which is dragged and reset there.

import type { ReadonlySignal } from "@preact/signals";
import type { RefObject } from "preact";
import { duration, grouped } from "../core/format";
import { type BarArea, useTicks } from "./Bars";
import { MARGIN_PX } from "./paint";
import type { ViewState } from "./state";

interface Props {
  view: ViewState;
  area: ReadonlySignal<BarArea>;
  axis: RefObject<HTMLDivElement | null>;
}

export function Axis({ view, area, axis }: Props) {
  const zoom = view.zoom.value;
  return (
    <div class="agtr-axis">
      <div class="agtr-axis-left">
        <span>{howMany(view)}</span>
        {zoom && (
          <button
            type="button"
            class="agtr-link"
            title="The whole run (0)"
            onClick={() => view.look(view.axis.peek())}
          >
            {duration(zoom.length)} of {duration(view.axis.value.length)}
          </button>
        )}
      </div>
      <div
        class={`agtr-axis-bars${zoom ? " agtr-zoomed" : ""}`}
        ref={axis}
        aria-hidden="true"
        onPointerDown={(event) => drag(event, view)}
        onDblClick={() => view.look(view.axis.peek())}
      >
        <Ticks view={view} area={area} />
      </div>
    </div>
  );
}

function Ticks({ view, area }: { view: ViewState; area: ReadonlySignal<BarArea> }) {
  const shown = useTicks(view, area).value;
  const { from, length } = view.window.value;
  const zero = view.axis.value.from;
  return (
    <>
      {shown.map((tick) => (
        <i
          key={tick.at}
          style={{ left: `calc((100% - ${MARGIN_PX}px) * ${(tick.at + zero - from) / length})` }}
        >
          {tick.label}
        </i>
      ))}
    </>
  );
}

function drag(event: PointerEvent, view: ViewState): void {
  if (event.button !== 0 || !view.zoom.peek()) return;
  const axis = event.currentTarget as HTMLElement;
  const begin = view.window.peek();
  const { clientX, pointerId } = event;
  axis.setPointerCapture(pointerId);
  const move = (to: PointerEvent) => {
    const ms = ((clientX - to.clientX) / (axis.clientWidth - MARGIN_PX)) * begin.length;
    view.look({ from: begin.from + ms, length: begin.length });
  };
  const end = () => {
    axis.removeEventListener("pointermove", move);
    axis.removeEventListener("lostpointercapture", end);
  };
  axis.addEventListener("pointermove", move);
  axis.addEventListener("lostpointercapture", end);
}

function howMany(view: ViewState): string {
  const shown = view.visible.value.length;
  const all = view.store.table.n;
  const steps = `${grouped(all)} ${all === 1 ? "step" : "steps"}`;
  return shown === all ? steps : `${grouped(shown)} of ${steps}`;
}
