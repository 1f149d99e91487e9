// What the base view lends to the panels. The build refuses code that is in both and not named here.

export { useComputed, useSignal } from "@preact/signals";
export { useEffect, useLayoutEffect, useMemo, useRef } from "preact/hooks";
export { Fragment, jsx, jsxs } from "preact/jsx-runtime";
export { ticks } from "../core/axis";
export { visible } from "../core/content";
export { above } from "../core/failure";
export { duration, grouped } from "../core/format";
export { isItem, kindOf, parsedText, plainFields, scalar, toJson } from "../core/json";
export { act } from "../core/keys";
export { TOP } from "../core/table";
export { Copy } from "../views/Copy";
export { Frame } from "../views/Frame";
export { cleared, readPalette } from "../views/palette";
export { Text } from "../views/Text";
export { KINDS, STATUSES } from "../wire";
