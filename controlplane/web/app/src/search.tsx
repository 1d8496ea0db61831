// Finds any workload, pod, service or namespace by a part of its name.

import type { JSX } from "preact";
import { useEffect, useId, useMemo, useRef, useState } from "preact/hooks";
import { rows, type Row } from "./api";
import { keyOf, pathOf, short, type Thing } from "./kinds";
import { workloads } from "./mesh";
import { go } from "./route";
import { Search as SearchIcon } from "./parts/icons";

const MOST = 12;

async function everything(): Promise<Thing[]> {
  const { signal } = new AbortController();
  const [namespaces, all, services, pods] = await Promise.all([
    rows({ type: "namespace" }, signal),
    workloads({ all_namespaces: true }, signal),
    rows({ type: "service", all_namespaces: true }, signal),
    rows({ type: "pod", all_namespaces: true }, signal),
  ]);
  return [...namespaces, ...all, ...services, ...pods].map(({ namespace, type, name }: Row) => ({
    namespace,
    type,
    name,
  }));
}

export function SearchBox(): JSX.Element {
  const [text, setText] = useState("");
  const [all, setAll] = useState<Thing[]>([]);
  const [open, setOpen] = useState(false);
  const [at, setAt] = useState(0);
  const input = useRef<HTMLInputElement>(null);
  const id = useId();
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const typing = (event.target as HTMLElement).closest?.("input, select, textarea");
      if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      input.current?.focus();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);
  const found = useMemo(() => {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    if (!words.length) return [];
    const fits = (thing: Thing) => {
      const whole = `${short(thing.type)}/${thing.name} ${thing.namespace}`.toLowerCase();
      return words.every((word) => whole.includes(word));
    };
    return all.filter(fits).slice(0, MOST);
  }, [text, all]);
  const look = () => {
    setOpen(true);
    everything().then(setAll, () => setAll([]));
  };
  const choose = (thing: Thing | undefined) => {
    if (!thing) return;
    go(pathOf(thing));
    setText("");
    setOpen(false);
    input.current?.blur();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const move = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (move && found.length) {
      event.preventDefault();
      setAt((at + move + found.length) % found.length);
    } else if (event.key === "Enter") choose(found[at]);
    else if (event.key === "Escape") {
      setText("");
      setOpen(false);
      input.current?.blur();
    }
  };
  const shown = open && text.trim() !== "";
  return (
    <div class="search">
      <SearchIcon />
      <input
        ref={input}
        type="search"
        role="combobox"
        aria-label="Find a workload, pod, service or namespace"
        aria-expanded={shown}
        aria-controls={`${id}-list`}
        aria-activedescendant={shown && found[at] ? `${id}-${at}` : undefined}
        aria-autocomplete="list"
        autocomplete="off"
        spellcheck={false}
        placeholder="Find…  ( / )"
        value={text}
        onFocus={look}
        onBlur={() => setOpen(false)}
        onInput={(event) => {
          setText(event.currentTarget.value);
          setAt(0);
          setOpen(true);
        }}
        onKeyDown={onKeyDown}
      />
      <ul id={`${id}-list`} role="listbox" aria-label="Found" hidden={!shown}>
        {found.map((thing, place) => (
          <li
            key={keyOf(thing)}
            id={`${id}-${place}`}
            role="option"
            aria-selected={place === at}
            onMouseDown={(event) => {
              event.preventDefault();
              choose(thing);
            }}
          >
            <span class="kind">{short(thing.type === "namespace" ? "ns" : thing.type)}</span>
            {thing.name}
            {thing.namespace && <span class="dim">{thing.namespace}</span>}
          </li>
        ))}
        {shown && !found.length && (
          <li role="option" aria-selected={false} aria-disabled="true" class="dim">
            nothing is called like this
          </li>
        )}
      </ul>
    </div>
  );
}
