// A small layered layout: ranks by the longest path, order by barycentres, places as near to their neighbours as the
// order allows. Labels are laid out like nodes, in layers of their own, so that nothing lies upon anything. The same
// graph always gives the same picture.

/** A node or a label: how large it is along the flow and across it, in px. */
export interface Size {
  along: number;
  across: number;
}

export interface Link {
  from: number;
  to: number;
  label: Size;
}

export interface Place {
  along: number;
  across: number;
}

export interface Picture {
  /** Upper left corner of each node. */
  nodes: Place[];
  /** For each link: middle of its label. */
  labels: Place[];
  /** For each link: the points that its line goes through, along the flow between each two. */
  lines: Place[][];
  size: Size;
}

const ALONG_GAP = 20;
const ACROSS_GAP = 14;
const SWEEPS = 8;

interface Slot extends Size {
  layer: number;
  /** Middle, across the flow. */
  at: number;
  before: Slot[];
  after: Slot[];
}

/** Lays out a graph without links from a node to itself. */
export function layers(nodes: Size[], links: Link[]): Picture {
  const back = backward(nodes.length, links);
  const forward = links.map((link, i) => (back[i] ? { from: link.to, to: link.from } : link));
  const rank = ranks(nodes.length, forward);
  const columns: Slot[][] = [];
  const put = (size: Size, layer: number): Slot => {
    const slot = { ...size, layer, at: 0, before: [], after: [] };
    while (columns.length <= layer) columns.push([]);
    columns[layer].push(slot);
    return slot;
  };
  const slots = nodes.map((size, i) => put(size, 2 * rank[i]));
  const chains = forward.map(({ from, to }, i) => {
    const chain = [slots[from]];
    for (let layer = 2 * rank[from] + 1; layer < 2 * rank[to]; layer++) {
      const first = chain.length === 1;
      chain.push(put(first ? links[i].label : { along: 0, across: 2 }, layer));
    }
    chain.push(slots[to]);
    for (let k = 1; k < chain.length; k++) {
      chain[k].before.push(chain[k - 1]);
      chain[k - 1].after.push(chain[k]);
    }
    return chain;
  });
  arrange(columns);
  const starts: number[] = [];
  let along = 0;
  for (const [i, column] of columns.entries()) {
    starts[i] = along;
    along += Math.max(...column.map((slot) => slot.along)) + ALONG_GAP;
  }
  const room = (slot: Slot) => (starts[slot.layer + 1] ?? along) - ALONG_GAP - starts[slot.layer];
  const middle = (slot: Slot) => starts[slot.layer] + room(slot) / 2;
  const all = columns.flat();
  return {
    nodes: slots.map((slot) => ({ along: middle(slot) - slot.along / 2, across: slot.at - slot.across / 2 })),
    labels: chains.map((chain) => ({ along: middle(chain[1]), across: chain[1].at })),
    lines: chains.map((chain, i) => {
      const points = line(chain, middle, room);
      return back[i] ? points.reverse() : points;
    }),
    size: {
      along: Math.max(along - ALONG_GAP, 0),
      across: Math.max(0, ...all.map((slot) => slot.at + slot.across / 2)),
    },
  };
}

/** Links that lead back to where their path came from: drawn against the flow. */
function backward(n: number, links: Link[]): boolean[] {
  const out: number[][] = Array.from({ length: n }, () => []);
  const goals = new Uint8Array(n);
  for (const [i, link] of links.entries()) {
    out[link.from].push(i);
    goals[link.to] = 1;
  }
  const back: boolean[] = links.map(() => false);
  const state = new Uint8Array(n); // 1: on the way, 2: done
  const begin = (from: number) => {
    if (state[from]) return;
    const way = [{ node: from, next: 0 }];
    state[from] = 1;
    while (way.length) {
      const here = way[way.length - 1];
      const link = out[here.node][here.next++];
      if (link === undefined) {
        state[here.node] = 2;
        way.pop();
        continue;
      }
      const { to } = links[link];
      if (state[to] === 1) back[link] = true;
      else if (state[to] === 0) {
        state[to] = 1;
        way.push({ node: to, next: 0 });
      }
    }
  };
  for (let i = 0; i < n; i++) if (!goals[i]) begin(i);
  for (let i = 0; i < n; i++) begin(i);
  return back;
}

function ranks(n: number, links: { from: number; to: number }[]): number[] {
  const rank: number[] = new Array(n).fill(0);
  const open: number[] = new Array(n).fill(0);
  for (const { to } of links) open[to]++;
  const ready = [...open.keys()].filter((i) => open[i] === 0);
  for (let node = ready.pop(); node !== undefined; node = ready.pop()) {
    for (const { from, to } of links) {
      if (from !== node) continue;
      rank[to] = Math.max(rank[to], rank[node] + 1);
      if (--open[to] === 0) ready.push(to);
    }
  }
  return rank;
}

function arrange(columns: Slot[][]): void {
  for (const column of columns) pack(column, (slot) => slot.at);
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const down = sweep % 2 === 0;
    for (const column of down ? columns : [...columns].reverse()) {
      const wish = new Map(column.map((slot) => [slot, mean(down ? slot.before : slot.after, slot.at)]));
      column.sort((a, b) => (wish.get(a) ?? 0) - (wish.get(b) ?? 0));
      pack(column, (slot) => wish.get(slot) ?? 0);
    }
  }
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    for (const column of sweep % 2 ? columns : [...columns].reverse())
      pack(column, (slot) => mean([...slot.before, ...slot.after], slot.at));
  }
  const top = Math.min(...columns.flat().map((slot) => slot.at - slot.across / 2));
  for (const slot of columns.flat()) slot.at -= top;
}

const mean = (slots: Slot[], otherwise: number): number =>
  slots.length ? slots.reduce((sum, slot) => sum + slot.at, 0) / slots.length : otherwise;

/** Puts slots, in their order, as near as can be to where they wish to be (least squares, by pooling neighbours). */
function pack(column: Slot[], wish: (slot: Slot) => number): void {
  const pools: { sum: number; n: number; slots: Slot[]; offsets: number[] }[] = [];
  let offset = 0;
  for (const [i, slot] of column.entries()) {
    if (i > 0) offset += (column[i - 1].across + slot.across) / 2 + ACROSS_GAP;
    let pool = { sum: wish(slot) - offset, n: 1, slots: [slot], offsets: [offset] };
    for (let last = pools.at(-1); last && last.sum / last.n > pool.sum / pool.n; last = pools.at(-1)) {
      pools.pop();
      pool = {
        sum: last.sum + pool.sum,
        n: last.n + pool.n,
        slots: [...last.slots, ...pool.slots],
        offsets: [...last.offsets, ...pool.offsets],
      };
    }
    pools.push(pool);
  }
  for (const pool of pools)
    for (const [i, slot] of pool.slots.entries()) slot.at = pool.sum / pool.n + pool.offsets[i];
}

function line(chain: Slot[], middle: (slot: Slot) => number, room: (slot: Slot) => number): Place[] {
  const [first, last] = [chain[0], chain[chain.length - 1]];
  const points = [{ along: middle(first) + first.along / 2, across: port(first, first.after, chain[1]) }];
  for (const slot of chain.slice(1, -1)) {
    // Straight past the nodes of a layer.
    const half = (slot.layer % 2 ? slot.along : room(slot)) / 2;
    points.push({ along: middle(slot) - half, across: slot.at });
    points.push({ along: middle(slot) + half, across: slot.at });
  }
  points.push({
    along: middle(last) - last.along / 2,
    across: port(last, last.before, chain[chain.length - 2]),
  });
  return points;
}

/** Where a line leaves or enters a side that it shares with others. */
function port(node: Slot, others: Slot[], mine: Slot): number {
  const sorted = [...others].sort((a, b) => a.at - b.at);
  return node.at + node.across * ((sorted.indexOf(mine) + 1) / (others.length + 1) - 0.5);
}

/** The nodes that hang together, each group in order of its first node. */
export function components(n: number, links: { from: number; to: number }[]): number[][] {
  const group = Array.from({ length: n }, (_, i) => i);
  const find = (i: number): number => {
    while (group[i] !== i) i = group[i] = group[group[i]];
    return i;
  };
  for (const { from, to } of links) {
    const [a, b] = [find(from), find(to)];
    group[Math.max(a, b)] = Math.min(a, b);
  }
  const found = new Map<number, number[]>();
  for (let i = 0; i < n; i++) found.set(find(i), [...(found.get(find(i)) ?? []), i]);
  return [...found.values()];
}
