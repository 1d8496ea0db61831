// Who is connected to whom, as whom, and how long those identities are good for.

import type { JSX } from "preact";
import { useMemo, useState } from "preact/hooks";
import { get, rows, type Certificate, type Edge } from "../api";
import { since } from "../format";
import { pathOf, short } from "../kinds";
import { workloadKinds } from "../mesh";
import { usePoll } from "../poll";
import { Link } from "../route";
import { Section } from "../parts/command";
import { Locked, Unlocked } from "../parts/icons";
import { Answered, Nothing } from "../parts/states";
import { Table, type Column } from "../parts/table";
import { validity } from "../x509";

const end = (name: string, read: (edge: Edge) => Edge["src"]): Column<Edge> => ({
  name,
  class: "name",
  sort: (edge) => read(edge).name,
  text: (edge) => read(edge).name,
  cell: (edge) => (
    <Link to={pathOf(read(edge))} class="thing">
      <span class="kind">{short(read(edge).type)}</span>
      {read(edge).name}
    </Link>
  ),
});

const word = (name: string, read: (edge: Edge) => string, kind: string): Column<Edge> => ({
  name,
  class: kind,
  sort: read,
  text: read,
  cell: (edge) => read(edge) || <span class="dim">–</span>,
});

const EDGES: readonly Column<Edge>[] = [
  end("From", (edge) => edge.src),
  end("To", (edge) => edge.dst),
  word("In", (edge) => edge.dst.namespace, "namespace"),
  word("Client's identity", (edge) => shortened(edge.client_id), "identity"),
  word("Server's identity", (edge) => shortened(edge.server_id), "identity"),
  {
    name: "Secured",
    class: "secured",
    sort: (edge) => edge.no_identity_msg,
    text: (edge) => edge.no_identity_msg,
    cell: (edge) =>
      edge.no_identity_msg === "" ? (
        <span class="good-text">
          <Locked /> mutual TLS
        </span>
      ) : (
        <span class="warn-text">
          <Unlocked /> {edge.no_identity_msg}
        </span>
      ),
  },
];

/** `web.emojivoto`, as `edges` prints it: what follows is the same for all of a mesh. */
const shortened = (identity: string): string => {
  const [account, namespace, kind] = identity.split(".");
  return kind === "serviceaccount" ? `${account}.${namespace}` : identity;
};

export function EdgesView(): JSX.Element {
  const polled = usePoll("edges", async (signal) => {
    const kinds = await workloadKinds(signal);
    const found = await Promise.all(
      kinds.map((type) => get<{ edges: Edge[] }>("/api/v1/edges", { type }, signal)),
    );
    return found.flatMap((answer) => answer.edges);
  });
  return (
    <>
      <h1>Connections and identities</h1>
      <Section title="Who is connected to whom" command={["edges", "deploy", "-A", "-o", "wide"]}>
        <Answered of={polled}>
          {(edges) =>
            edges.length === 0 ? (
              <Nothing title="No proxy has an open connection to another workload.">
                Connections appear here as soon as a meshed workload calls another.
              </Nothing>
            ) : (
              <Table
                label="Edges"
                columns={EDGES}
                items={edges}
                keyOf={edgeKey}
                rowClass={(edge) => (edge.no_identity_msg ? "warn" : "")}
                sortedBy="From"
              />
            )
          }
        </Answered>
      </Section>
      <Identities />
    </>
  );
}

const edgeKey = (edge: Edge): string =>
  [edge.src, edge.dst]
    .map((one) => `${one.namespace}/${one.type}/${one.name}`)
    .concat(edge.client_id, edge.server_id, edge.no_identity_msg)
    .join(" ");

interface Held {
  pod: Certificate;
  left: number | null;
  share: number;
}

const HELD: readonly Column<Held>[] = [
  {
    name: "Pod",
    class: "name",
    sort: (held) => held.pod.pod,
    text: (held) => held.pod.pod,
    cell: (held) => (
      <Link to={pathOf({ namespace: held.pod.namespace, type: "pod", name: held.pod.pod })}>{held.pod.pod}</Link>
    ),
  },
  {
    name: "Identity",
    class: "identity",
    sort: (held) => held.pod.identity,
    text: (held) => held.pod.identity,
    cell: (held) => held.pod.identity || <span class="dim">–</span>,
  },
  {
    name: "Trusted",
    class: "secured",
    sort: (held) => (held.pod.verified ? 1 : 0),
    text: (held) => `${held.pod.verified} ${held.pod.problem}`,
    cell: (held) =>
      held.pod.problem ? (
        <span class="bad-text">{held.pod.problem}</span>
      ) : held.pod.verified ? (
        <span class="good-text">by the mesh's anchors</span>
      ) : (
        <span class="bad-text">not by the mesh's anchors</span>
      ),
  },
  {
    name: "Expires",
    class: "expires",
    sort: (held) => held.left,
    text: (held) => (held.left === null ? "" : since(Math.max(0, held.left))),
    cell: (held) => {
      if (held.left === null) return <span class="dim">–</span>;
      if (held.left <= 0) return <span class="bad-text">expired {since(-held.left)} ago</span>;
      return (
        <span class={held.share < 0.15 ? "success warn" : "success good"}>
          <span class="bar" aria-hidden="true">
            <span class="fill" style={{ transform: `scaleX(${held.share})` }} />
          </span>
          <span>in {since(held.left)}</span>
        </span>
      );
    },
  },
];

function Identities(): JSX.Element {
  const namespaces = usePoll("namespaces", (signal) => rows({ type: "namespace" }, signal), 30_000);
  const [chosen, setChosen] = useState("");
  const meshed = (namespaces.data ?? []).filter((row) => (row.meshed ?? 0) > 0).map((row) => row.name);
  const namespace = chosen || meshed[0] || "";
  // Each answer is a handshake with every proxy of the namespace: they are not asked often.
  const polled = usePoll(
    `identities ${namespace}`,
    async (signal) =>
      namespace ? (await get<{ pods: Certificate[] }>("/api/v1/identity", { namespace }, signal)).pods : [],
    30_000,
  );
  const held = useMemo(() => (polled.data ?? []).map(heldBy), [polled.data]);
  return (
    <Section
      title="Certificates"
      command={["identity", "-n", namespace]}
      note={
        meshed.length > 1 ? (
          <label>
            <span class="visually-hidden">Namespace of the certificates</span>
            <select value={namespace} onChange={(event) => setChosen(event.currentTarget.value)}>
              {meshed.map((name) => (
                <option key={name}>{name}</option>
              ))}
            </select>
          </label>
        ) : undefined
      }
    >
      <Answered of={polled}>
        {() =>
          held.length === 0 ? (
            <Nothing title="No pod has a proxy here." />
          ) : (
            <Table
              label="Certificates"
              columns={HELD}
              items={held}
              keyOf={(one) => `${one.pod.namespace}/${one.pod.pod}`}
              sortedBy="Expires"
            />
          )
        }
      </Answered>
    </Section>
  );
}

function heldBy(pod: Certificate): Held {
  const found = pod.certificate ? validity(pod.certificate) : null;
  if (!found) return { pod, left: null, share: 0 };
  const left = found.until - Date.now() / 1000;
  return { pod, left, share: Math.max(0, Math.min(1, left / (found.until - found.from))) };
}
