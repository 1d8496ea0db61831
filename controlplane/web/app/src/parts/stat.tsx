// The columns of `stat`, for whatever the rows are about.

import type { JSX } from "preact";
import type { Row, Stats } from "../api";
import { health, ms, percent, rps } from "../format";
import { keyOf, pathOf, short } from "../kinds";
import { Link } from "../route";
import { Secured, Success } from "./figures";
import { Table, type Column } from "./table";

export const rateOf = (stats: Stats | null): number | null =>
  stats && stats.success + stats.failure > 0 ? stats.success_rate : null;

const figure = (name: string, title: string, read: (stats: Stats) => number, say: (value: number) => string): Column<Row> => ({
  name,
  title,
  class: "number",
  sort: (row) => (row.stats ? read(row.stats) : null),
  text: (row) => (row.stats ? say(read(row.stats)) : ""),
  cell: (row) => (row.stats ? say(read(row.stats)) : <span class="dim">–</span>),
});

const NAME: Column<Row> = {
  name: "Name",
  class: "name",
  sort: (row) => row.name,
  text: (row) => row.name,
  cell: (row) => (
    <Link to={pathOf(row)} class="thing" data-row="">
      {row.type !== "namespace" && <span class="kind">{short(row.type)}</span>}
      {row.name}
    </Link>
  ),
};

const NAMESPACE: Column<Row> = {
  name: "Namespace",
  class: "namespace",
  sort: (row) => row.namespace,
  text: (row) => row.namespace,
  cell: (row) => <Link to={pathOf({ namespace: "", type: "namespace", name: row.namespace })}>{row.namespace}</Link>,
};

const FIGURES: readonly Column<Row>[] = [
  {
    name: "Meshed",
    class: "number",
    title: "pods with a proxy, of those that run",
    sort: (row) => row.meshed,
    text: (row) => `${row.meshed}/${row.running}`,
    cell: (row) => (row.meshed === null ? <span class="dim">–</span> : `${row.meshed}/${row.running}`),
  },
  {
    name: "Success",
    class: "rate",
    sort: (row) => rateOf(row.stats),
    text: (row) => {
      const rate = rateOf(row.stats);
      return rate === null ? "" : percent(rate);
    },
    cell: (row) => <Success rate={rateOf(row.stats)} />,
  },
  figure("RPS", "requests per second", (stats) => stats.rps, rps),
  figure("P50", "latency that half of the requests stay below", (stats) => stats.latency_ms_p50, ms),
  figure("P95", "latency that 95 of 100 stay below", (stats) => stats.latency_ms_p95, ms),
  figure("P99", "latency that 99 of 100 stay below", (stats) => stats.latency_ms_p99, ms),
  {
    name: "mTLS",
    class: "lock",
    title: "requests that came over mutual TLS",
    sort: (row) => row.stats?.tls_percent ?? null,
    text: (row) => String(row.stats?.tls_percent ?? ""),
    cell: (row) => <Secured tls={row.stats?.tls_percent ?? null} />,
  },
];

const WITH_NAMESPACE = [NAME, NAMESPACE, ...FIGURES];
const WITHOUT = [NAME, ...FIGURES];

export function StatTable({
  label,
  rows,
  namespaced = false,
  sortedBy = "Name",
}: {
  label: string;
  rows: readonly Row[];
  namespaced?: boolean;
  sortedBy?: string;
}): JSX.Element {
  return (
    <Table
      label={label}
      columns={namespaced ? WITH_NAMESPACE : WITHOUT}
      items={rows}
      keyOf={keyOf}
      rowClass={(row) => health(rateOf(row.stats))}
      sortedBy={sortedBy}
    />
  );
}
