// The keys, over the view: closed by Escape, and the focus goes back to where it was.

import { useEffect, useRef } from "preact/hooks";
import { HELP } from "../core/keys";
import type { ViewState } from "./state";

export function Help({ view, id }: { view: ViewState; id: string }) {
  const box = useRef<HTMLDivElement>(null);
  const close = () => {
    view.help.value = false;
  };
  useEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    box.current?.querySelector("button")?.focus();
    return () => before?.focus?.();
  }, []);
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "Escape" || event.key === "?") close();
    // Nothing in here but the way out: the focus stays until it is taken.
    else if (event.key !== "Tab") return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <div ref={box} class="agtr-help" role="dialog" aria-labelledby={`${id}-help`} onKeyDown={onKeyDown}>
      <h3 id={`${id}-help`}>
        Keys
        <button type="button" class="agtr-key" aria-label="Close" onClick={close}>
          {"\u2715"}
        </button>
      </h3>
      <div class="agtr-help-parts">
        {HELP.map(([title, keys]) => (
          <section key={title}>
            <h4>{title}</h4>
            <dl>
              {keys.map(([key, what]) => (
                <div key={key}>
                  <dt>
                    <kbd>{key}</kbd>
                  </dt>
                  <dd>{what}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
    </div>
  );
}
