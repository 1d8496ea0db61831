// One thing of the mesh: how it is, who calls it, what it calls, its routes, its pods, its live calls.

import type { JSX } from "preact";
import { useMemo, useState } from "preact/hooks";
import { get, rows, type Point, type Pod, type Row } from "../api";
import { health, ms, percent, rps, since } from "../format";
import { keyOf, kindOf, pathOf, short, type Thing, WORKLOADS } from "../kinds";
import { pageFacts, workloads } from "../mesh";
import { usePoll } from "../poll";
import { Link } from "../route";
import { Chart } from "../parts/chart";
import { Command, Section } from "../parts/command";
import { Tile, Tiles } from "../parts/figures";
import { Graph, type Line, type Node } from "../parts/graph";
import { Chart as ChartIcon, Locked } from "../parts/icons";
import { StatTable, rateOf } from "../parts/stat";
import { Answered, Nothing } from "../parts/states";
import { LiveCalls } from "./live";
import { nodeOf } from "./namespace";
import { LetInSection } from "./policy";
import { Routes } from "./routes";

interface Around {
  self: Row | undefined;
  callers: Row[];
  called: Row[];
}

export function ResourceView({ thing }: { thing: Thing }): JSX.Element {
  const { namespace, type, name } = thing;
  const of = { namespace, type, name };
  const [route, setRoute] = useState("");
  const around = usePoll<Around>(`resource ${keyOf(thing)}`, async (signal) => {
    const to = { to_type: type, to_name: name, to_namespace: namespace, all_namespaces: true };
    const from = { from_type: type, from_name: name, from_namespace: namespace, all_namespaces: true };
    const [self, callers, called] = await Promise.all([
      rows(of, signal),
      workloads(to, signal),
      type === "service" ? Promise.resolve([]) : workloads(from, signal),
    ]);
    return { self: self[0], callers: busy(callers), called: busy(called) };
  });
  return (
    <>
      <nav class="crumbs" aria-label="Where this is">
        <Link to="/">Overview</Link>
        <span aria-hidden="true">/</span>
        <Link to={pathOf({ namespace: "", type: "namespace", name: namespace })}>{namespace}</Link>
      </nav>
      <div class="title-line">
        <h1>
          <span class="kind">{short(type)}</span>
          {name}
        </h1>
        <Grafana thing={thing} />
        <Command words={["stat", `${short(type)}/${name}`, "-n", namespace]} />
      </div>
      <Answered of={around}>
        {({ self, callers, called }) =>
          self ? (
            <>
              <Tiles
                stats={self.stats}
                more={
                  <Tile
                    name="Pods in the mesh"
                    value={self.meshed === null ? "–" : `${self.meshed}/${self.running}`}
                    how={self.meshed !== null && self.meshed < (self.running ?? 0) ? "warn" : "none"}
                    note={self.failed ? `${self.failed} failed` : undefined}
                  />
                }
              />
              <Routes thing={thing} open={setRoute} />
              <Neighbours self={self} callers={callers} called={called} />
              <History thing={thing} />
              <LiveCalls thing={thing} route={route} leave={() => setRoute("")} />
              {WORKLOADS.includes(type) && <Replicas thing={thing} />}
              {type !== "service" && <LetInSection thing={thing} />}
            </>
          ) : (
            <Nothing title={`There is no ${kindOf(type)?.name ?? type} ${name} in ${namespace}.`}>
              It may have gone since this page was opened. <Link to="/">The overview</Link> has all that there is;{" "}
              <code>linkerd2-py get {short(type)} -n {namespace}</code> lists them in a terminal.
            </Nothing>
          )
        }
      </Answered>
    </>
  );
}

const busy = (found: Row[]): Row[] =>
  found.filter((row) => row.stats && (row.stats.rps > 0 || row.stats.tcp_open_connections > 0));

function Grafana({ thing }: { thing: Thing }): JSX.Element | null {
  const page = usePoll("page", pageFacts, 60_000);
  const url = page.data?.grafana;
  if (!url) return null;
  const words = new URLSearchParams({ "var-namespace": thing.namespace, [`var-${thing.type}`]: thing.name });
  return (
    <a class="button" href={`${url.replace(/\/$/, "")}/d/linkerd-${thing.type}?${words}`} rel="noreferrer">
      <ChartIcon /> Grafana
    </a>
  );
}

/** The busiest of each side: what is left out is said. */
const MOST_NEIGHBOURS = 10;

function Neighbours({ self, callers, called }: { self: Row; callers: Row[]; called: Row[] }): JSX.Element {
  if (!callers.length && !called.length)
    return (
      <Section title="Neighbours">
        <Nothing title="Nobody in the mesh calls it, and it calls nobody, in the last minute.">
          Traffic is seen here when at least one end of it has a proxy.
        </Nothing>
      </Section>
    );
  const me: Node = { ...nodeOf(self, self.namespace), chosen: true };
  delete me.to;
  const nodes: Node[] = [me];
  const lines: Line[] = [];
  // Who calls and is called stands on both sides.
  const add = (found: Row[], before: boolean) => {
    const most = [...found].sort((a, b) => (b.stats?.rps ?? 0) - (a.stats?.rps ?? 0)).slice(0, MOST_NEIGHBOURS);
    most.sort((a, b) => keyOf(a).localeCompare(keyOf(b)));
    for (const row of most) {
      const key = `${before ? "from" : "to"} ${keyOf(row)}`;
      const rate = rateOf(row.stats);
      nodes.push({
        ...nodeOf(row, self.namespace),
        key,
        how: health(rate),
        under: rate === null ? "TCP" : `p99 ${ms(row.stats?.latency_ms_p99 ?? 0)}`,
      });
      const label = rate === null ? "TCP" : rate < 0.99 ? `${Math.floor(rate * 100)}%` : `${rps(row.stats?.rps ?? 0)} rps`;
      const tls = row.stats?.tls_percent ?? null;
      lines.push({
        from: before ? key : me.key,
        to: before ? me.key : key,
        label,
        how: health(rate),
        secured: tls === null ? null : tls >= 99.95,
      });
    }
    return found.length - most.length;
  };
  const left = add(callers, true) + add(called, false);
  return (
    <Section
      title="Neighbours"
      note={left ? `${left} quieter ones are not drawn` : undefined}
      command={["stat", "deploy", "--to", `${short(self.type)}/${self.name}`, "-n", self.namespace]}
    >
      <Graph label={`Who calls ${self.name}, and whom it calls`} nodes={nodes} lines={lines} />
    </Section>
  );
}

function History({ thing }: { thing: Thing }): JSX.Element {
  const polled = usePoll(
    `history ${keyOf(thing)}`,
    (signal) =>
      get<{ points: Point[]; rate_window_s: number }>(
        "/api/v1/history",
        { ...thing, window: "5m", points: "30" },
        signal,
      ),
    10_000,
  );
  return (
    <Section
      title="Last five minutes"
      command={["stat", `${short(thing.type)}/${thing.name}`, "-n", thing.namespace, "-t", "10s"]}
    >
      <Answered of={polled}>{({ points }) => <Charts points={points} />}</Answered>
    </Section>
  );
}

function Charts({ points }: { points: Point[] }): JSX.Element {
  const drawn = useMemo(() => {
    const now = Date.now() / 1000;
    return {
      times: points.map((point) => now - point.ago_s),
      success: [{ name: "success", colour: "good", values: points.map((point) => point.success_rate) }],
      rate: [{ name: "requests", colour: "accent", values: points.map((point) => point.rps) }],
      latency: [
        { name: "p50", colour: "calm", values: points.map((point) => point.latency_ms_p50) },
        { name: "p95", colour: "accent", values: points.map((point) => point.latency_ms_p95) },
        { name: "p99", colour: "strong", values: points.map((point) => point.latency_ms_p99) },
      ],
    };
  }, [points]);
  return (
    <div class="charts">
      <Chart title="Success rate" times={drawn.times} series={drawn.success} say={percent} most={1} />
      <Chart title="Requests per second" times={drawn.times} series={drawn.rate} say={rps} />
      <Chart title="Latency" times={drawn.times} series={drawn.latency} say={ms} />
    </div>
  );
}

function Replicas({ thing }: { thing: Thing }): JSX.Element {
  const owner = `${short(thing.type)}/${thing.name}`;
  const polled = usePoll(`replicas ${keyOf(thing)}`, async (signal) => {
    const [stats, pods] = await Promise.all([
      rows({ type: "pod", namespace: thing.namespace }, signal),
      get<{ pods: Pod[] }>("/api/v1/pods", { namespace: thing.namespace }, signal),
    ]);
    const own = pods.pods.filter((pod) => pod.owner === owner);
    const names = new Set(own.map((pod) => pod.name));
    return { own, stats: stats.filter((row) => names.has(row.name)) };
  });
  return (
    <Section title="Replicas" command={["stat", "po", "-n", thing.namespace]}>
      <Answered of={polled}>
        {({ own, stats }) =>
          own.length === 0 ? (
            <Nothing title="It has no pods." />
          ) : (
            <>
              <StatTable label="Replicas" rows={stats} />
              <ul class="pods">
                {own.map((pod) => (
                  <PodLine key={pod.name} pod={pod} />
                ))}
              </ul>
            </>
          )
        }
      </Answered>
    </Section>
  );
}

function PodLine({ pod }: { pod: Pod }): JSX.Element {
  const how = pod.ready && (pod.proxy_ready || !pod.meshed) ? "good" : pod.status === "Failed" ? "bad" : "warn";
  return (
    <li>
      <span class={`dot ${how}`} aria-hidden="true" />
      <Link to={pathOf({ namespace: pod.namespace, type: "pod", name: pod.name })}>{pod.name}</Link>
      <span>{pod.ready ? "ready" : pod.status.toLowerCase()}</span>
      {pod.uptime_s !== null && <span class="dim">for {since(pod.uptime_s)}</span>}
      {pod.restarts > 0 && <span class="warn-text">{pod.restarts} restarts</span>}
      {pod.problem && <span class="bad-text">{pod.problem}</span>}
      {!pod.problem && pod.last_exit && <span class="warn-text">{pod.last_exit}</span>}
      {pod.meshed && !pod.proxy_ready && (
        <span class="warn-text">its proxy's metrics cannot be read</span>
      )}
      {pod.identity && (
        <span class="dim identity">
          <Locked label="identity" /> {pod.identity}
        </span>
      )}
    </li>
  );
}
