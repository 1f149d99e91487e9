// The widget's entry for anywidget. State lives in the model's closure; views come and go.

import { connect, type Model } from "./model";
import { mount } from "./mount";
import type { RunStore } from "./store";

export default () => {
  let store: RunStore | undefined;
  return {
    // Listens from here on: messages that come before the first view must not be lost.
    initialize({ model }: { model: Model }) {
      const connection = connect(model);
      store = connection.store;
      return connection.disconnect;
    },
    render({ model, el }: { model: Model; el: HTMLElement }) {
      if (store) return mount(el, store);
      const connection = connect(model);
      const unmount = mount(el, connection.store);
      return () => {
        unmount();
        connection.disconnect();
      };
    },
  };
};
