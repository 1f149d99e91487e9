// What anywidget asks of every widget of ours. State lives in the model's closure; views come and go.

import type { Model } from "./model";

export function widget<M extends Model, State extends { disconnect(): void }>(
  connect: (model: M) => State,
  mount: (el: HTMLElement, state: State) => () => void,
) {
  return () => {
    let kept: State | undefined;
    return {
      // Listens from here on: messages that come before the first view must not be lost.
      initialize({ model }: { model: M }) {
        kept = connect(model);
        return kept.disconnect;
      },
      render({ model, el }: { model: M; el: HTMLElement }) {
        if (kept) return mount(el, kept);
        const own = connect(model);
        const unmount = mount(el, own);
        return () => {
          unmount();
          own.disconnect();
        };
      },
    };
  };
}
