// JSON as a tree that opens and closes, with search and copy. Only lines on screen are in the document.

import { useSignal } from "@preact/signals";
import { useMemo, useRef } from "preact/hooks";
import { visible } from "../core/content";
import { kindOf, toJson } from "../core/json";
import { brief, holds, JsonLines, type Node, path } from "../core/jsontree";
import { act } from "../core/keys";
import { Copy } from "./Copy";

const LINE_PX = 20;
const LINES = 18;
const SEARCHED = 12;

let trees = 0;

export function JsonTree({ value }: { value: object }) {
  const tree = useMemo(() => new JsonLines(value), [value]);
  const id = useMemo(() => `agtr-json-${++trees}`, []);
  const version = useSignal(0);
  const top = useSignal(0);
  const chosen = useSignal<Node | undefined>(undefined);
  const matches = useSignal<{ found: ReturnType<JsonLines["search"]>; at: number } | undefined>(undefined);
  const box = useRef<HTMLDivElement>(null);
  version.value;
  const { lines } = tree;
  const at = chosen.value ? lines.indexOf(chosen.value) : -1;
  const from = Math.max(0, Math.floor(top.value / LINE_PX) - 4);

  const choose = (node: Node | undefined) => {
    if (!node) return;
    chosen.value = node;
    const y = lines.indexOf(node) * LINE_PX;
    const its = box.current;
    if (!its) return;
    // After a line was opened the box has its new height only when it is drawn.
    requestAnimationFrame(() => {
      if (y < its.scrollTop) its.scrollTop = y;
      else if (y + LINE_PX > its.scrollTop + its.clientHeight) its.scrollTop = y + LINE_PX - its.clientHeight;
    });
  };
  const setOpen = (node: Node, open: boolean) => {
    tree.setOpen(node, open);
    version.value++;
    if (tree.lines.indexOf(chosen.value as Node) < 0) chosen.value = node;
  };
  const search = (text: string) => {
    matches.value = text ? { found: tree.search(text), at: -1 } : undefined;
    next(1);
  };
  const next = (step: number) => {
    const its = matches.value;
    if (!its || its.found.length === 0) return;
    const to = (its.at + step + its.found.length) % its.found.length;
    matches.value = { found: its.found, at: to };
    const node = tree.reveal(its.found[to]);
    version.value++;
    chosen.value = node;
    const y = tree.lines.indexOf(node) * LINE_PX;
    requestAnimationFrame(() => box.current?.scrollTo({ top: Math.max(0, y - 5 * LINE_PX) }));
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const node = chosen.value ?? lines[0];
    const above = node.above ? lines.indexOf(node.above) : -1;
    const place = {
      at,
      count: lines.length,
      page: LINES,
      parent: holds(node) > 0,
      closed: !node.open,
      above,
    };
    const does = act(event, place);
    if (!does) return;
    if ("go" in does) choose(lines[does.go]);
    else if ("open" in does) setOpen(node, does.open);
    event.preventDefault();
  };
  const shown = lines.slice(from, from + LINES + 10);
  const its = matches.value;
  return (
    <div class="agtr-json">
      {lines.length > SEARCHED && (
        <div class="agtr-json-bar">
          <input
            type="text"
            placeholder="search"
            aria-label="Search in this JSON"
            onInput={(event) => search(event.currentTarget.value)}
            onKeyDown={(event) => event.key === "Enter" && next(event.shiftKey ? -1 : 1)}
          />
          {its && (
            <span class="agtr-hint" role="status">
              {its.found.length ? `${its.at + 1} of ${its.found.length}` : "nothing found"}
            </span>
          )}
        </div>
      )}
      <div
        ref={box}
        class="agtr-json-box"
        role="tree"
        aria-label="JSON"
        tabIndex={0}
        aria-activedescendant={at >= from && at < from + shown.length ? `${id}-${at}` : undefined}
        onKeyDown={onKeyDown}
        onScroll={(event) => {
          top.value = event.currentTarget.scrollTop;
        }}
        onFocus={() => {
          chosen.value ??= lines[0];
        }}
      >
        <div role="presentation" style={{ height: `${lines.length * LINE_PX}px` }}>
          {shown.map((node, i) => (
            <Line
              key={from + i}
              id={`${id}-${from + i}`}
              node={node}
              top={(from + i) * LINE_PX}
              chosen={node === chosen.value}
              onChoose={() => choose(node)}
              onOpen={() => setOpen(node, !node.open)}
            />
          ))}
        </div>
      </div>
      {chosen.value && (
        <div class="agtr-json-bar">
          <code dir="ltr">{visible(path(chosen.value).slice(-400))}</code>
          <Copy what="path" text={() => path(chosen.value as Node)} />
          <Copy what="value" text={() => plain((chosen.value as Node).value)} />
        </div>
      )}
    </div>
  );
}

const plain = (value: unknown) => (typeof value === "string" ? value : toJson(value));

interface LineProps {
  id: string;
  node: Node;
  top: number;
  chosen: boolean;
  onChoose: () => void;
  onOpen: () => void;
}

function Line({ id, node, top, chosen, onChoose, onOpen }: LineProps) {
  const { key, value, open } = node;
  const holder = holds(node) > 0;
  return (
    <div
      id={id}
      role="treeitem"
      aria-level={node.depth + 1}
      aria-selected={chosen}
      aria-expanded={holder ? open : undefined}
      class={chosen ? "agtr-line agtr-on" : "agtr-line"}
      style={{ top: `${top}px`, paddingLeft: `${4 + 14 * Math.min(node.depth, 12)}px` }}
      onClick={onChoose}
      onDblClick={() => holder && onOpen()}
    >
      <span class="agtr-twisty" aria-hidden="true" onClick={() => holder && onOpen()}>
        {holder ? (open ? "\u25be" : "\u25b8") : ""}
      </span>
      {key !== undefined && <span class="agtr-j-key">{`${visible(String(key).slice(0, 200))}: `}</span>}
      <span class={`agtr-j-${typeof value === "object" && value ? "key" : kindOf(value)}`} dir="auto">
        {visible(brief(node))}
      </span>
    </div>
  );
}
