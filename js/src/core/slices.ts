// Long work in short pieces, so that the page goes on between them.

const SLICE_MS = 8;

/** Drives work to its end, a few milliseconds at a time; `done` gets its result. Returns what stops it. */
export function inSlices<T>(work: Generator<void, T>, done: (result: T) => void): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const go = () => {
    timer = undefined;
    const until = performance.now() + SLICE_MS;
    do {
      const step = work.next();
      if (step.done) {
        done(step.value);
        return;
      }
    } while (performance.now() < until);
    timer = setTimeout(go);
  };
  // Not at once: what set this off, such as a key, is drawn first.
  timer = setTimeout(go);
  return () => clearTimeout(timer);
}
