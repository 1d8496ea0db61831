// All namespaces and workloads, what needs a look first.

import type { JSX } from "preact";
import { useRef } from "preact/hooks";
import { rows, type Row, type Stats } from "../api";
import { health, percent, rps } from "../format";
import { keyOf, pathOf, short } from "../kinds";
import { workloads } from "../mesh";
import { usePoll } from "../poll";
import { Link } from "../route";
import { Section } from "../parts/command";
import { Tile } from "../parts/figures";
import { StatTable, rateOf } from "../parts/stat";
import { Answered, Nothing } from "../parts/states";

interface All {
  namespaces: Row[];
  workloads: Row[];
}

export function OverviewView(): JSX.Element {
  const polled = usePoll<All>("overview", async (signal) => {
    const [namespaces, all] = await Promise.all([
      rows({ type: "namespace" }, signal),
      workloads({ all_namespaces: true }, signal),
    ]);
    return { namespaces, workloads: all };
  });
  return (
    <>
      <h1>Overview</h1>
      <Answered of={polled}>
        {({ namespaces, workloads: all }) =>
          all.length === 0 ? (
            <Nothing title="There is no workload in this mesh yet.">
              Locally, name some in <code>mesh.yaml</code>. In a cluster, bring some in:{" "}
              <code>kubectl get deploy -o yaml | linkerd2-py inject - | kubectl apply -f -</code>
            </Nothing>
          ) : (
            <>
              <Whole all={all} />
              <Attention all={all} />
              {namespaces.length > 1 && (
                <Section title="Namespaces" command={["stat", "ns"]}>
                  <StatTable label="Namespaces" rows={namespaces} />
                </Section>
              )}
              <Section title="Workloads" command={["stat", "deploy", "-A"]} note={`${all.length}`}>
                <StatTable label="Workloads" rows={all} namespaced={namespaces.length > 1} />
              </Section>
            </>
          )
        }
      </Answered>
    </>
  );
}

/** Every request is counted by the proxy of the workload that answers it, so that sums are of whole requests. */
export function sumOf(all: readonly Row[]): Stats | null {
  const some = all.flatMap((row) => (row.stats && row.stats.success + row.stats.failure ? [row.stats] : []));
  if (!some.length) return null;
  const sum = (read: (stats: Stats) => number) => some.reduce((total, stats) => total + read(stats), 0);
  const most = (read: (stats: Stats) => number) => Math.max(...some.map(read));
  const [success, failure] = [sum((s) => s.success), sum((s) => s.failure)];
  return {
    success,
    failure,
    success_rate: success / (success + failure),
    rps: sum((s) => s.rps),
    latency_ms_p50: most((s) => s.latency_ms_p50),
    latency_ms_p95: most((s) => s.latency_ms_p95),
    latency_ms_p99: most((s) => s.latency_ms_p99),
    tls_percent: sum((s) => ((s.tls_percent ?? 0) * (s.success + s.failure)) / (success + failure)),
    tcp_open_connections: sum((s) => s.tcp_open_connections),
    tcp_read_bytes_rate: sum((s) => s.tcp_read_bytes_rate),
    tcp_write_bytes_rate: sum((s) => s.tcp_write_bytes_rate),
  };
}

function Whole({ all }: { all: readonly Row[] }): JSX.Element {
  const stats = sumOf(all);
  const meshed = all.reduce((total, row) => total + (row.meshed ?? 0), 0);
  const running = all.reduce((total, row) => total + (row.running ?? 0), 0);
  const tls = stats?.tls_percent ?? null;
  return (
    <dl class="tiles">
      <Tile
        name="Success rate"
        value={stats ? percent(stats.success_rate) : "–"}
        how={health(stats?.success_rate)}
      />
      <Tile name="Requests per second" value={stats ? rps(stats.rps) : "–"} />
      <Tile name="Workloads" value={String(all.length)} />
      <Tile name="Pods in the mesh" value={`${meshed}/${running}`} how={meshed < running ? "warn" : "none"} />
      <Tile
        name="Secured by mutual TLS"
        value={tls === null ? "–" : `${Math.floor(tls)}%`}
        how={tls === null ? "none" : tls >= 99.95 ? "good" : "warn"}
      />
    </dl>
  );
}

/** The red before the orange; among equals, who was there before keeps the place, for somebody may be about to
 * click there, and the rates of two that fail alike change order with every answer.
 */
function useSettled(found: readonly Row[]): readonly Row[] {
  const places = useRef(new Map<string, number>());
  const before = places.current;
  const grade = (row: Row) => (health(rateOf(row.stats)) === "bad" ? 0 : 1);
  const place = (row: Row) => before.get(keyOf(row)) ?? before.size;
  const settled = [...found].sort((a, b) => grade(a) - grade(b) || place(a) - place(b));
  places.current = new Map(settled.map((row, at) => [keyOf(row), at]));
  return settled;
}

export function Attention({ all }: { all: readonly Row[] }): JSX.Element | null {
  const ill = all.filter((row) => ["warn", "bad"].includes(health(rateOf(row.stats))) || row.failed > 0);
  const worst = useSettled(ill.sort((a, b) => (rateOf(a.stats) ?? 2) - (rateOf(b.stats) ?? 2)));
  if (!worst.length) return null;
  return (
    <section class="attention" aria-label="Needs a look">
      <h2>Needs a look</h2>
      <ul>
        {worst.slice(0, 6).map((row) => {
          const rate = rateOf(row.stats);
          return (
            <li key={keyOf(row)}>
              <Link to={pathOf(row)} class={`finding ${health(rate)}`}>
                <span class="thing">
                  <span class="kind">{short(row.type)}</span>
                  {row.name}
                </span>
                <span class="why">
                  {rate !== null && rate < 0.99
                    ? `${((1 - rate) * 100).toFixed(1)}% of requests fail`
                    : `${row.failed} failed pods`}
                </span>
              </Link>
            </li>
          );
        })}
        {worst.length > 6 && <li class="dim">and {worst.length - 6} more below, in red and orange</li>}
      </ul>
    </section>
  );
}

