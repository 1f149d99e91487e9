// The widget model (anywidget's AFM interface, nothing else of the host) to a store.

import { take } from "./panels/arrival";
import { type Answer, RunStore } from "./store";

/** What is used of the host's model. */
export interface Model {
  get(name: string): unknown;
  on(event: string, callback: (...args: never[]) => void): void;
  off(event: string, callback: (...args: never[]) => void): void;
  send?(message: unknown): void;
}

/** Listens to a model; returns its store and what ends the listening. */
export function connect(model: Model): { store: RunStore; disconnect: () => void } {
  const store = new RunStore(model.send ? (message) => model.send?.(message) : undefined);
  const onMessage = (message: Answer, buffers: DataView[]) => {
    if (message?.kind === "patch" && buffers[0]) store.receive(buffers[0]);
    if (message?.kind === "code" && buffers[0]) void take(buffers[0] as DataView<ArrayBuffer>);
    if (message?.kind === "found" && buffers[0]) store.receiveFound(message.text, message.whole, buffers[0]);
    if (message?.kind === "said") store.said.value = message;
    if (message?.kind === "payload" && buffers[0]) {
      const { buffer, byteOffset, byteLength } = buffers[0];
      store.receiveContent(
        message.row,
        message.part,
        message.parts,
        new Uint8Array(buffer, byteOffset, byteLength),
      );
    }
  };
  const onSnapshot = () => {
    const snapshot = model.get("_snapshot");
    if (snapshot instanceof DataView || snapshot instanceof Uint8Array) store.receive(snapshot);
  };
  onSnapshot();
  model.on("msg:custom", onMessage as never);
  model.on("change:_snapshot", onSnapshot as never);
  return {
    store,
    disconnect: () => {
      model.off("msg:custom", onMessage as never);
      model.off("change:_snapshot", onSnapshot as never);
    },
  };
}
