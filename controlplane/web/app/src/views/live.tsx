// Calls as they happen: each of them (tap), or summed up by what is called (top).

import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { ms, percent } from "../format";
import { short, type Thing } from "../kinds";
import { pageFacts } from "../mesh";
import { usePoll } from "../poll";
import { Calls, failed, outcome, watch, type Call, type Filter, type Watch } from "../tap";
import { Section } from "../parts/command";
import { Success } from "../parts/figures";
import { Nothing } from "../parts/states";
import { Table, type Column } from "../parts/table";

const MOST_CALLS = 200;
const DRAWN_MS = 500;

interface Sum {
  key: string;
  source: string;
  destination: string;
  method: string;
  path: string;
  route: string;
  count: number;
  failures: number;
  best: number;
  worst: number;
  last: number;
}

type How = "top" | "tap";

/** With a `route`, calls of it alone are shown, and watched at once; `leave` shows all again. */
export function LiveCalls({
  thing,
  route,
  leave,
}: {
  thing: Thing;
  route: string;
  leave: () => void;
}): JSX.Element | null {
  const page = usePoll("page", pageFacts, 60_000);
  const [how, setHow] = useState<How>("top");
  const [filter, setFilter] = useState({ method: "", path: "" });
  const live = useLive({ ...thing, ...filter });
  const place = useRef<HTMLDivElement>(null);
  const watchable = page.data?.tap ?? false;
  useEffect(() => {
    if (!route || !watchable) return;
    if (!live.watching) live.start();
    place.current?.scrollIntoView({ block: "start", behavior: "instant" });
  }, [route, watchable]);
  if (!page.data) return null;
  const words = [how, `${short(thing.type)}/${thing.name}`, "-n", thing.namespace];
  if (filter.method) words.push("--method", filter.method);
  if (filter.path) words.push("--path", filter.path);
  const ofRoute = <Made extends { route: string }>(all: readonly Made[]): readonly Made[] =>
    route ? all.filter((one) => one.route === (route === "[DEFAULT]" ? "" : route)) : all;
  return (
    <div ref={place} class="anchor">
    <Section title="Live calls" note={live.watching ? live.said : undefined} command={words}>
      {!page.data.tap ? (
        <Nothing title="This dashboard may not watch calls.">
          <InTerminal thing={thing} />
        </Nothing>
      ) : (
        <>
          <form
            class="live-bar"
            onSubmit={(event) => {
              event.preventDefault();
              if (live.watching) live.stop();
              else live.start();
            }}
          >
            <button type="submit" class={live.watching ? "button" : "button main"}>
              {live.watching ? "Stop" : "Watch"}
            </button>
            <div class="choice" role="group" aria-label="How calls are shown">
              <Choice name="top" now={how} set={setHow} text="Summed up" />
              <Choice name="tap" now={how} set={setHow} text="One by one" />
            </div>
            <label>
              Method
              <input
                size={8}
                value={filter.method}
                disabled={live.watching}
                placeholder="any"
                onInput={(event) => setFilter({ ...filter, method: event.currentTarget.value.trim() })}
              />
            </label>
            <label>
              Path begins with
              <input
                size={24}
                value={filter.path}
                disabled={live.watching}
                placeholder="any"
                onInput={(event) => setFilter({ ...filter, path: event.currentTarget.value.trim() })}
              />
            </label>
            {route && (
              <span class="choice">
                <button type="button" class="plain" aria-pressed="true" onClick={leave}>
                  only {route} <span aria-hidden="true">×</span>
                  <span class="visually-hidden">: show all routes</span>
                </button>
              </span>
            )}
            {live.lost > 0 && <span class="warn-text">{live.lost} events were left out</span>}
          </form>
          {live.problem && (
            <p class="problem" role="alert">
              {live.problem}. <Advice problem={live.problem} thing={thing} local={page.data.source === "local"} />
            </p>
          )}
          {how === "top" ? (
            <Top sums={ofRoute(live.sums)} watching={live.watching} />
          ) : (
            <Tap calls={ofRoute(live.calls)} watching={live.watching} />
          )}
        </>
      )}
    </Section>
    </div>
  );
}

function Advice({ problem, thing, local }: { problem: string; thing: Thing; local: boolean }): JSX.Element {
  if (!/token|allowed|authori|forbidden/i.test(problem))
    return <>Watch again; linkerd2-py check says what is wrong with the mesh.</>;
  if (!local) return <InTerminal thing={thing} />;
  return (
    <>
      Open this page with <code>linkerd2-py dashboard</code>: its address carries what is needed to watch calls.
    </>
  );
}

/** What whoever may can do where this page may not. */
function InTerminal({ thing }: { thing: Thing }): JSX.Element {
  return (
    <>
      As somebody who may, watch them in a terminal:{" "}
      <code>
        linkerd2-py tap {short(thing.type)}/{thing.name} -n {thing.namespace}
      </code>
    </>
  );
}

function Choice({ name, now, set, text }: { name: How; now: How; set: (how: How) => void; text: string }) {
  return (
    <button type="button" class="plain" aria-pressed={now === name} onClick={() => set(name)}>
      {text}
    </button>
  );
}

interface Shown {
  calls: readonly Call[];
  sums: readonly Sum[];
  lost: number;
  /** Who is watched. */
  said: string;
}

const NOTHING_SHOWN: Shown = { calls: [], sums: [], lost: 0, said: "" };

const watchingWords = (pods: number, troubles: readonly { pod: string; reason: string }[]): string =>
  `${pods} ${pods === 1 ? "pod is" : "pods are"} watched` +
  troubles.map(({ pod, reason }) => `; ${pod} cannot be: ${reason}`).join("");

interface Live extends Shown {
  watching: boolean;
  problem: string;
  start: () => void;
  stop: () => void;
}

function useLive(filter: Filter): Live {
  const [watching, setWatching] = useState(false);
  const [problem, setProblem] = useState("");
  const [shown, setShown] = useState<Shown>(NOTHING_SHOWN);
  const running = useRef<Watch>();
  const stop = () => {
    running.current?.stop();
    running.current = undefined;
    setWatching(false);
  };
  const start = () => {
    const calls = new Calls(MOST_CALLS);
    const sums = new Map<string, Sum>();
    let [lost, changed, said] = [0, false, ""];
    setProblem("");
    setWatching(true);
    setShown(NOTHING_SHOWN);
    // Drawn twice a second, however many calls there are.
    const timer = setInterval(() => {
      if (!changed) return;
      changed = false;
      setShown({ calls: calls.all.map((call) => ({ ...call })), sums: [...sums.values()], lost, said });
    }, DRAWN_MS);
    running.current = watch(
      filter,
      (event) => {
        changed = true;
        const call = calls.add(event);
        if (call?.ended) count(sums, call);
      },
      (notice) => {
        changed = true;
        if (notice.notice === "lost") lost += notice.events;
        if (notice.notice === "watching") said = watchingWords(notice.pods, notice.troubles);
      },
      (reason) => {
        clearInterval(timer);
        setWatching(false);
        setProblem(reason);
      },
    );
  };
  const key = `${filter.namespace}/${filter.type}/${filter.name}`;
  useEffect(() => stop, [key]);
  return { watching, problem, ...shown, start, stop };
}

function count(sums: Map<string, Sum>, call: Call): void {
  const path = call.path.split("?")[0] ?? "";
  const key = [call.source, call.destination, call.method, path].join("\n");
  const took = call.latencyMs ?? 0;
  const old = sums.get(key) ?? {
    key,
    source: call.source,
    destination: call.destination,
    method: call.method,
    path,
    route: call.route,
    count: 0,
    failures: 0,
    best: took,
    worst: took,
    last: took,
  };
  sums.set(key, {
    ...old,
    count: old.count + 1,
    failures: old.failures + (failed(call) ? 1 : 0),
    best: Math.min(old.best, took),
    worst: Math.max(old.worst, took),
    last: took,
  });
}

const text = (name: string, read: (sum: Sum) => string, kind = ""): Column<Sum> => ({
  name,
  class: kind,
  sort: read,
  text: read,
  cell: read,
});
const took = (name: string, read: (sum: Sum) => number): Column<Sum> => ({
  name,
  class: "number",
  sort: read,
  text: (sum) => ms(read(sum)),
  cell: (sum) => ms(read(sum)),
});

const TOP: readonly Column<Sum>[] = [
  text("Method", (sum) => sum.method, "method"),
  text("Path", (sum) => sum.path, "path"),
  {
    name: "Success",
    class: "rate",
    sort: (sum) => 1 - sum.failures / sum.count,
    text: (sum) => percent(1 - sum.failures / sum.count),
    cell: (sum) => <Success rate={1 - sum.failures / sum.count} />,
  },
  {
    name: "Calls",
    class: "number",
    sort: (sum) => sum.count,
    text: (sum) => String(sum.count),
    cell: (sum) => sum.count,
  },
  took("Best", (sum) => sum.best),
  took("Worst", (sum) => sum.worst),
  took("Last", (sum) => sum.last),
  text("From", (sum) => sum.source, "end"),
  text("To", (sum) => sum.destination, "end"),
];

function Top({ sums, watching }: { sums: readonly Sum[]; watching: boolean }): JSX.Element {
  if (!sums.length) return <Waiting watching={watching} />;
  return (
    <Table
      label="Live calls, summed up"
      columns={TOP}
      items={sums}
      keyOf={(sum) => sum.key}
      rowClass={(sum) => (sum.failures ? "bad" : "good")}
      sortedBy="Success"
    />
  );
}

const TAP: readonly Column<Call>[] = [
  {
    name: "Answer",
    class: "outcome",
    text: outcome,
    cell: (call) => <span class={call.ended ? (failed(call) ? "bad-text" : "good-text") : "dim"}>{outcome(call)}</span>,
  },
  {
    name: "Latency",
    class: "number",
    text: (call) => String(call.latencyMs),
    cell: (call) => (call.latencyMs === null ? "…" : ms(call.latencyMs)),
  },
  { name: "Method", class: "method", text: (call) => call.method, cell: (call) => call.method },
  { name: "Path", class: "path", text: (call) => call.path, cell: (call) => call.path },
  { name: "From", class: "end", text: (call) => call.source, cell: (call) => call.source },
  { name: "To", class: "end", text: (call) => call.destination, cell: (call) => call.destination },
];

function Tap({ calls, watching }: { calls: readonly Call[]; watching: boolean }): JSX.Element {
  if (!calls.length) return <Waiting watching={watching} />;
  return (
    <Table
      label="Live calls"
      columns={TAP}
      items={calls}
      keyOf={(call) => call.key}
      rowClass={(call) => (failed(call) ? "bad" : "")}
    />
  );
}

function Waiting({ watching }: { watching: boolean }): JSX.Element {
  return watching ? (
    <Nothing title="Waiting for calls…">A call is shown as soon as a proxy has seen it.</Nothing>
  ) : (
    <Nothing title="Nobody is watching.">
      Watch shows calls as they happen. It costs the proxies nothing while nobody does.
    </Nothing>
  );
}
