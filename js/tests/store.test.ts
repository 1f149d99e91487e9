import { describe, expect, it, vi } from "vitest";
import { connect, type Model } from "../src/model";
import { type Ask, RunStore } from "../src/store";
import { fromBase64, goldenBytes, goldenJson } from "./golden";

const frames = goldenJson<{ frames: string[] }>("live.json").frames.map(fromBase64);

class FakeModel implements Model {
  sent: Ask[] = [];
  listeners = new Map<string, ((...args: never[]) => void)[]>();
  constructor(public snapshot?: DataView) {}
  get = () => this.snapshot;
  on(event: string, callback: (...args: never[]) => void) {
    this.listeners.set(event, [...(this.listeners.get(event) ?? []), callback]);
  }
  off(event: string, callback: (...args: never[]) => void) {
    this.listeners.set(
      event,
      (this.listeners.get(event) ?? []).filter((known) => known !== callback),
    );
  }
  send(message: unknown) {
    this.sent.push(message as Ask);
  }
  hear(event: string, ...args: unknown[]) {
    for (const callback of this.listeners.get(event) ?? []) callback(...(args as never[]));
  }
}

const view = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

describe("a store", () => {
  it("asks once for everything when a frame was lost, and heals with it", () => {
    const asked: Ask[] = [];
    const store = new RunStore((message) => asked.push(message));
    store.receive(frames[0]);
    store.receive(frames[2]);
    store.receive(frames[2]);
    expect(asked).toEqual([{ kind: "resync" }]);
    expect(store.problem.value).toBeUndefined();
    const before = store.table.n;
    store.receive(goldenBytes("whole.bin"));
    expect(store.table.n).toBe(22);
    expect(before).toBeLessThan(22);
  });

  it("ignores a frame that it has and one that is old", () => {
    const store = new RunStore();
    for (const frame of frames) store.receive(frame);
    const version = store.version.value;
    store.receive(frames[1]);
    store.receive(frames[0]);
    expect(store.version.value).toBe(version);
    expect(store.table.n).toBe(22);
  });

  it("says what is wrong with a frame that it cannot read, and goes on", () => {
    const store = new RunStore();
    store.receive(new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8, 9]));
    expect(store.problem.value).toBe("not a trace frame");
    store.receive(frames[0]);
    expect(store.table.n).toBeGreaterThan(0);
  });

  it("joins content that comes in pieces, in any order", () => {
    const store = new RunStore();
    store.receive(frames[0]);
    const bytes = new TextEncoder().encode(JSON.stringify({ input: "x".repeat(1000) }));
    store.receiveContent(0, 1, 2, bytes.slice(500));
    expect(store.content(0)?.input).not.toBe("x".repeat(1000));
    store.receiveContent(0, 0, 2, bytes.slice(0, 500));
    expect(store.content(0)?.input).toBe("x".repeat(1000));
  });

  it("asks for a row's content once until it comes", () => {
    const asked: Ask[] = [];
    const store = new RunStore((message) => asked.push(message));
    store.receive(frames[0]);
    store.want(1);
    store.want(1);
    expect(asked).toEqual([{ kind: "want", rows: [1] }]);
    store.receiveContent(1, 0, 1, new TextEncoder().encode("{}"));
    store.want(1);
    expect(asked.length).toBe(2);
  });

  it("knows that it is not connected when asking fails", () => {
    const store = new RunStore(() => {
      throw new Error("comm is not live");
    });
    store.receive(frames[0]);
    expect(store.connected.value).toBe(true);
    store.want(0);
    expect(store.connected.value).toBe(false);
  });

  it("lets its clock stand still when nothing is heard for long", () => {
    vi.useFakeTimers({ toFake: ["performance"] });
    try {
      const store = new RunStore();
      store.receive(frames[0]);
      vi.advanceTimersByTime(2000);
      expect(store.clock()).toBe(3000);
      expect(store.silent()).toBe(false);
      vi.advanceTimersByTime(60_000);
      expect(store.clock()).toBe(5000);
      expect(store.silent()).toBe(true);
      for (const frame of frames) store.receive(frame);
      expect(store.clock()).toBe(4210);
      expect(store.silent()).toBe(false);
    } finally {
      vi.useRealTimers();
    }
  });
});

describe("a widget model", () => {
  it("feeds the store from its snapshot and from messages, until it is disconnected", () => {
    const model = new FakeModel(view(frames[0]));
    const { store, disconnect } = connect(model);
    const first = store.table.n;
    expect(first).toBeGreaterThan(0);
    for (const frame of frames.slice(1, 4)) model.hear("msg:custom", { kind: "patch" }, [view(frame)]);
    expect(store.table.n).toBeGreaterThan(first);
    model.snapshot = view(frames[frames.length - 1]);
    disconnect();
    const before = store.version.value;
    model.hear("msg:custom", { kind: "patch" }, [view(frames[4])]);
    model.hear("change:_snapshot");
    expect(store.version.value).toBe(before);
  });

  it("takes content, and no notice of messages that it does not know", () => {
    const model = new FakeModel(view(frames[0]));
    const { store } = connect(model);
    model.hear("msg:custom", { kind: "dance" }, []);
    model.hear("msg:custom", null, []);
    model.hear("msg:custom", { kind: "payload", row: 0, part: 0, parts: 1 }, [
      view(new TextEncoder().encode('{"output":"hi"}')),
    ]);
    expect(store.content(0)?.output).toBe("hi");
  });
});
