// Who may call what: what was let in and by which object, what was refused, and the objects that let anybody in.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { get, rows, type Authorization } from "../api";
import { rps } from "../format";
import { keyOf, short, type Thing } from "../kinds";
import { workloadKinds } from "../mesh";
import { usePoll } from "../poll";
import { Section } from "../parts/command";
import { Success } from "../parts/figures";
import { Answered, Nothing } from "../parts/states";
import { Table, type Column } from "../parts/table";

const EVERY_MS = 5000;

const word = (name: string, read: (rule: Authorization) => string): Column<Authorization> => ({
  name,
  sort: read,
  text: read,
  cell: (rule) => read(rule) || <span class="dim">–</span>,
});

const RULES: readonly Column<Authorization>[] = [
  word("Server", (rule) => rule.server),
  { ...word("Route", (rule) => rule.route), cell: (rule) => rule.route || <span class="dim">all</span> },
  word("AuthorizationPolicy", (rule) => rule.authorization_policy),
  word("ServerAuthorization", (rule) => rule.server_authorization),
];

const ruleKey = (rule: Authorization): string =>
  [rule.server, rule.route, rule.authorization_policy, rule.server_authorization].join("\n");

interface Named {
  kind: string;
  name: string;
}

interface LetIn {
  route: Named;
  server: Named;
  authorization: Named;
  refused_rps: number;
  stats: { success: number; failure: number; success_rate: number; rps: number } | null;
}

const named = (one: Named): string => (one.kind === "default" ? `default: ${one.name}` : one.name);

const name = (title: string, read: (row: LetIn) => Named, none: JSX.Element | string): Column<LetIn> => ({
  name: title,
  sort: (row) => named(read(row)),
  text: (row) => named(read(row)),
  cell: (row) => named(read(row)) || none,
});

const LET_IN: readonly Column<LetIn>[] = [
  name("Server", (row) => row.server, "–"),
  name("Route", (row) => row.route, "–"),
  name("Let in by", (row) => row.authorization, <span class="bad-text">nothing</span>),
  {
    name: "Refused",
    class: "number",
    title: "refused requests per second",
    sort: (row) => row.refused_rps,
    text: (row) => rps(row.refused_rps),
    cell: (row) =>
      row.refused_rps > 0 ? (
        <span class="bad-text">{rps(row.refused_rps)} rps</span>
      ) : (
        <span class="dim">–</span>
      ),
  },
  {
    name: "RPS",
    class: "number",
    sort: (row) => row.stats?.rps ?? null,
    text: (row) => rps(row.stats?.rps ?? 0),
    cell: (row) => (row.stats ? rps(row.stats.rps) : <span class="dim">–</span>),
  },
  {
    name: "Success",
    class: "rate",
    sort: (row) => row.stats?.success_rate ?? null,
    text: (row) => String(row.stats?.success_rate),
    cell: (row) => <Success rate={row.stats?.success_rate ?? null} />,
  },
];

/** What the proxies of a thing let in, and what they refused. */
export function LetInSection({ thing }: { thing: Thing }): JSX.Element {
  const whole = thing.type === "namespace";
  const polled = usePoll(
    `let in ${keyOf(thing)}`,
    async (signal) =>
      thing.name ? (await get<{ rows: LetIn[] }>("/api/v1/authz", { ...thing }, signal)).rows : [],
    EVERY_MS,
  );
  const refused = polled.data?.reduce((sum, one) => sum + one.refused_rps, 0) ?? 0;
  return (
    <Section
      title="Who was let in, and who was refused"
      note={
        refused > 0 ? <span class="bad-text">{rps(refused)} requests a second are refused</span> : undefined
      }
      command={
        whole
          ? ["authz", `ns/${thing.name}`]
          : ["authz", `${short(thing.type)}/${thing.name}`, "-n", thing.namespace]
      }
    >
      <Answered of={polled}>
        {(found) =>
          found.length === 0 ? (
            <Nothing title="Nobody has called it in the last minute." />
          ) : (
            <Table
              label="Who was let in, and who was refused"
              columns={LET_IN}
              items={found}
              keyOf={(one) =>
                [one.server, one.route, one.authorization].map((n) => `${n.kind}/${n.name}`).join("\n")
              }
              rowClass={(one) => (one.refused_rps > 0 ? "bad" : "")}
              sortedBy="Refused"
              descending
            />
          )
        }
      </Answered>
    </Section>
  );
}

export function PolicyView(): JSX.Element {
  const namespaces = usePoll("namespaces", (signal) => rows({ type: "namespace" }, signal), 30_000);
  const [chosen, setChosen] = useState("");
  const names = (namespaces.data ?? []).filter((row) => (row.meshed ?? 0) > 0).map((row) => row.name);
  const namespace = chosen || names[0] || "";
  return (
    <>
      <div class="title-line">
        <h1>Policy</h1>
        {names.length > 1 && (
          <label>
            <span class="visually-hidden">Namespace</span>
            <select value={namespace} onChange={(event) => setChosen(event.currentTarget.value)}>
              {names.map((one) => (
                <option key={one}>{one}</option>
              ))}
            </select>
          </label>
        )}
      </div>
      <Answered of={namespaces}>
        {() => (
          <>
            <LetInSection key={namespace} thing={{ namespace: "", type: "namespace", name: namespace }} />
            <Objects key={`objects ${namespace}`} namespace={namespace} />
          </>
        )}
      </Answered>
    </>
  );
}

function Objects({ namespace }: { namespace: string }): JSX.Element {
  const polled = usePoll(
    `policy ${namespace}`,
    async (signal) => {
      if (!namespace) return [];
      const found: Record<string, Authorization> = {};
      for (const type of await workloadKinds(signal)) {
        const answer = await get<{ authorizations: Authorization[] }>(
          "/api/v1/authorizations",
          { type, namespace },
          signal,
        );
        for (const one of answer.authorizations) found[ruleKey(one)] = one;
      }
      return Object.values(found);
    },
    EVERY_MS,
  );
  return (
    <Section title="Objects that let somebody in">
      <Answered of={polled}>
        {(found) =>
          found.length === 0 ? (
            <Nothing title={`No object says who may call the workloads of ${namespace}.`}>
              The default policy holds for all their ports. A <code>Server</code> names a port, an{" "}
              <code>AuthorizationPolicy</code> whom it lets in.
            </Nothing>
          ) : (
            <Table
              label="Objects that let somebody in"
              columns={RULES}
              items={found}
              keyOf={ruleKey}
              sortedBy="Server"
            />
          )
        }
      </Answered>
    </Section>
  );
}
