// The command that gives the same answer in a terminal.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { Copy } from "./icons";

// A word with anything else in it is quoted, so that what is copied is safe to paste.
const quoted = (word: string): string =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;

export function Command({ words }: { words: readonly (string | undefined)[] }): JSX.Element {
  const [copied, setCopied] = useState(false);
  const text = ["linkerd2-py", ...words.filter((word) => word !== undefined)].map(quoted).join(" ");
  const copy = async () => {
    await navigator.clipboard?.writeText(text).catch(() => undefined);
    setCopied(true);
    setTimeout(() => setCopied(false), 1500);
  };
  return (
    <span class="command">
      <code>{text}</code>
      <button type="button" class="plain" onClick={copy} aria-label={`Copy the command ${text}`}>
        {copied ? "copied" : <Copy />}
      </button>
    </span>
  );
}

export function Section({
  title,
  command,
  note,
  children,
}: {
  title: string;
  command?: readonly (string | undefined)[];
  note?: JSX.Element | string | undefined;
  children: JSX.Element | (JSX.Element | false | null)[];
}): JSX.Element {
  return (
    <section class="card" aria-label={title}>
      <header class="card-head">
        <h2>{title}</h2>
        {note && <span class="note">{note}</span>}
        {command && <Command words={command} />}
      </header>
      {children}
    </section>
  );
}
