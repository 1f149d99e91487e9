// The frame of a card: what it is, and a button that copies it.

import type { ComponentChildren } from "preact";
import { Copy } from "./Copy";

interface Props {
  title: string;
  copy: () => string;
  bad?: boolean;
  /** Beside the title. */
  more?: ComponentChildren;
  children: ComponentChildren;
}

export function Frame({ title, copy, bad, more, children }: Props) {
  return (
    <section class={`agtr-card${bad ? " agtr-card-bad" : ""}`}>
      <h4>
        <span>{title}</span>
        {more}
        <Copy what={title} text={copy} label="copy" />
      </h4>
      <div class="agtr-card-body">{children}</div>
    </section>
  );
}
