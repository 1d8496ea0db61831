// One namespace: its workloads, and how they call each other.

import type { JSX } from "preact";
import { get, type Edge, type Row } from "../api";
import { health, percent, rps } from "../format";
import { keyOf, pathOf, short } from "../kinds";
import { workloadKinds, workloads } from "../mesh";
import { usePoll } from "../poll";
import { Section } from "../parts/command";
import { Tiles } from "../parts/figures";
import { Graph, type Line, type Node } from "../parts/graph";
import { StatTable, rateOf } from "../parts/stat";
import { Answered, Nothing } from "../parts/states";
import { Attention, sumOf } from "./overview";

/** Beyond these a picture shows nothing any more, and the table does. */
const MOST_NODES = 40;

export function NamespaceView({ name }: { name: string }): JSX.Element {
  const polled = usePoll(`namespace ${name}`, async (signal) => {
    const kinds = await workloadKinds(signal);
    const [all, ...edges] = await Promise.all([
      workloads({ namespace: name }, signal),
      ...kinds.map((type) => get<{ edges: Edge[] }>("/api/v1/edges", { type, namespace: name }, signal)),
    ]);
    return { all, edges: edges.flatMap((answer) => answer.edges) };
  });
  return (
    <>
      <h1>
        <span class="kind">ns</span>
        {name}
      </h1>
      <Answered of={polled}>
        {({ all, edges }) =>
          all.length === 0 ? (
            <Nothing title={`There is no workload in the namespace ${name}.`}>
              <code>linkerd2-py get deploy -A</code> lists those of all namespaces.
            </Nothing>
          ) : (
            <>
              <Tiles stats={sumOf(all)} />
              <Attention all={all} />
              <Map all={all} edges={edges} namespace={name} />
              <Section title="Workloads" command={["stat", "deploy", "-n", name]} note={`${all.length}`}>
                <StatTable label="Workloads" rows={all} />
              </Section>
            </>
          )
        }
      </Answered>
    </>
  );
}

export const nodeOf = (row: Row, here: string): Node => {
  const rate = rateOf(row.stats);
  return {
    key: keyOf(row),
    name: row.name,
    over: row.namespace === here ? short(row.type) : `${short(row.type)} · ${row.namespace}`,
    under: rate === null ? "no traffic" : `${percent(rate)} · ${rps(row.stats?.rps ?? 0)} rps`,
    how: health(rate),
    to: pathOf(row),
  };
};

function Map({
  all,
  edges,
  namespace,
}: {
  all: readonly Row[];
  edges: readonly Edge[];
  namespace: string;
}): JSX.Element | null {
  const known: Record<string, Row> = {};
  for (const row of all) known[keyOf(row)] = row;
  const nodes: Record<string, Node> = {};
  const lines: Record<string, Line> = {};
  for (const { src, dst, no_identity_msg } of edges) {
    for (const end of [src, dst]) {
      const row = known[keyOf(end)];
      nodes[keyOf(end)] ??= row
        ? nodeOf(row, namespace)
        : {
            key: keyOf(end),
            name: end.name,
            over: `${short(end.type)} · ${end.namespace}`,
            under: "of another namespace",
            how: "none",
            to: pathOf(end),
          };
    }
    const key = `${keyOf(src)} ${keyOf(dst)}`;
    const secured = no_identity_msg === "";
    const old = lines[key];
    if (old) old.secured = old.secured === true && secured;
    else
      lines[key] = {
        from: keyOf(src),
        to: keyOf(dst),
        label: secured ? "mTLS" : "plain",
        how: "none",
        secured,
      };
  }
  const found = Object.values(nodes);
  if (!found.length || found.length > MOST_NODES) return null;
  return (
    <Section title="Who calls whom" command={["edges", "deploy", "-n", namespace, "-o", "wide"]}>
      <Graph
        label={`Who calls whom in ${namespace}`}
        nodes={found.sort((a, b) => a.key.localeCompare(b.key))}
        lines={Object.values(lines).sort((a, b) => `${a.from} ${a.to}`.localeCompare(`${b.from} ${b.to}`))}
      />
    </Section>
  );
}
