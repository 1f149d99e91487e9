// The words of the filter: `arch:triage status:error latency:>2s refund`. All must be true of a run; a minus before
// one turns it round.

import { STATUSES } from "../wire";
import { NUMBERS, type NumberColumn, type RunList, TEXTS, type TextColumn } from "./list";

export type Test = (list: RunList, row: number) => boolean;

export interface Query {
  test: Test;
  /** What was not understood, in words; empty where all was. */
  problem: string;
}

const TERM = /(-?)(?:([a-z]+):)?(?:"([^"]*)"?|(\S+))/gi;
const FIGURES: readonly NumberColumn[] = NUMBERS.filter((name) => name !== "started");
export const FIELDS = [...TEXTS, "id", "status", "success", ...FIGURES];
// What else a standing is called, here and in other tools.
const SAID: Record<string, string> = { completed: "ok", failed: "error", unset: "running" };
const UNITS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, min: 60_000, h: 3_600_000, k: 1e3 };

/** Reads a filter. Nothing that can be typed is an error; what is not understood is told. */
export function parse(text: string): Query {
  const tests: Test[] = [];
  const problems: string[] = [];
  for (const [, minus, field, quoted, bare] of text.matchAll(TERM)) {
    let value = (quoted ?? bare ?? "").toLowerCase();
    let key: string | undefined = field?.toLowerCase();
    if (key && !FIELDS.includes(key)) {
      // Not a field: a text with a colon in it, such as an address.
      if (!value.startsWith("//")) problems.push(`no field "${key}": ${FIELDS.join(", ")}`);
      value = `${key}:${value}`;
      key = undefined;
    }
    const test = testFor(key, value);
    if (typeof test === "string") problems.push(test);
    else if (test) tests.push(minus ? (list, row) => !test(list, row) : test);
  }
  return { test: (list, row) => tests.every((test) => test(list, row)), problem: problems.join("; ") };
}

// `arch:` alone is a field whose value is still being typed.
function testFor(field: string | undefined, value: string): Test | string | undefined {
  if (!field) {
    if (!value || value === "-" || (value.endsWith(":") && FIELDS.includes(value.slice(0, -1))))
      return undefined;
    return (list, row) => list.words(row).includes(value);
  }
  if (TEXTS.includes(field as TextColumn)) {
    return (list, row) =>
      list
        .text(field as TextColumn, row)
        .toLowerCase()
        .includes(value);
  }
  if (FIGURES.includes(field as NumberColumn)) return compare(field as NumberColumn, value);
  if (field === "id") return (list, row) => list.id(row).startsWith(value.replace(/^tr-/, ""));
  if (field === "status") return standing(value);
  if (field === "success") return judgement(value);
  return undefined;
}

function standing(value: string): Test | string | undefined {
  if (!value) return undefined;
  const known = [...STATUSES, ...Object.keys(SAID)].filter((word) => word.startsWith(value));
  const wanted = new Set(known.map((word) => SAID[word] ?? word));
  return wanted.size > 0
    ? (list, row) => wanted.has(list.status(row))
    : `status is one of ${STATUSES.join(", ")}`;
}

function judgement(value: string): Test | string | undefined {
  if (!value) return undefined;
  const wanted = { yes: true, true: true, no: false, false: false, unknown: undefined };
  if (!(value in wanted)) return "success is yes, no or unknown";
  return (list, row) => list.success(row) === wanted[value as keyof typeof wanted];
}

function compare(column: NumberColumn, text: string): Test | string | undefined {
  if (!text) return undefined;
  const match = /^(>=|<=|>|<|=)?\$?(\d*\.?\d+)([a-z]*)$/.exec(text);
  const unit = column === "latency" ? match?.[3] || "s" : match?.[3] || "";
  if (!match || (unit && !(unit in UNITS))) {
    if (/^(>=|<=|>|<|=)$/.test(text)) return undefined;
    return `${column} is compared with a number, as in ${column}:>${column === "latency" ? "2s" : 2}`;
  }
  const size = Number(match[2]) * (UNITS[unit] ?? 1);
  // Of what is not known nothing is true.
  return (list, row) => {
    const value = list.number(column, row);
    switch (match[1]) {
      case ">":
        return value > size;
      case "<":
        return value < size;
      case ">=":
        return value >= size;
      case "<=":
        return value <= size;
      default:
        return value === size;
    }
  };
}

/** A filter with a field set to a value, in place of what it said of that field; taken away where it said just that. */
export function withField(text: string, field: string, value: string): string {
  const term = `${field}:${/[\s"]/.test(value) ? `"${value.replaceAll('"', "")}"` : value}`;
  const others = [...text.matchAll(TERM)].filter((m) => m[2]?.toLowerCase() !== field).map((m) => m[0]);
  const had = text.includes(term);
  return [...(had ? [] : [term]), ...others].join(" ");
}
