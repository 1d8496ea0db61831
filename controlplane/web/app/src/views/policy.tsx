// Who may call what: the objects that let anybody in, for each workload.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { get, rows, type Authorization } from "../api";
import { short, type Thing } from "../kinds";
import { workloads } from "../mesh";
import { usePoll } from "../poll";
import { Link } from "../route";
import { pathOf } from "../kinds";
import { Section } from "../parts/command";
import { Answered, Nothing } from "../parts/states";
import { Table, type Column } from "../parts/table";

interface Rule extends Authorization {
  thing: Thing;
}

const word = (name: string, read: (rule: Rule) => string): Column<Rule> => ({
  name,
  sort: read,
  text: read,
  cell: (rule) => read(rule) || <span class="dim">–</span>,
});

const RULES: readonly Column<Rule>[] = [
  {
    name: "Workload",
    class: "name",
    sort: (rule) => rule.thing.name,
    text: (rule) => rule.thing.name,
    cell: (rule) => (
      <Link to={pathOf(rule.thing)} class="thing">
        <span class="kind">{short(rule.thing.type)}</span>
        {rule.thing.name}
      </Link>
    ),
  },
  word("Server", (rule) => rule.server),
  { ...word("Route", (rule) => rule.route), cell: (rule) => rule.route || <span class="dim">all</span> },
  word("AuthorizationPolicy", (rule) => rule.authorization_policy),
  word("ServerAuthorization", (rule) => rule.server_authorization),
];

/** Who asks for more at once holds up the control plane. */
const AT_ONCE = 6;

async function rulesOf(things: Thing[], signal: AbortSignal): Promise<Rule[]> {
  const found: Rule[] = [];
  for (let from = 0; from < things.length; from += AT_ONCE) {
    const answers = await Promise.all(
      things.slice(from, from + AT_ONCE).map(async (thing) => {
        const { namespace, type, name } = thing;
        const answer = await get<{ authorizations: Authorization[] }>(
          "/api/v1/authorizations",
          { namespace, type, name },
          signal,
        );
        return answer.authorizations.map((one) => ({ ...one, thing }));
      }),
    );
    found.push(...answers.flat());
  }
  return found;
}

export function PolicyView(): JSX.Element {
  const namespaces = usePoll("namespaces", (signal) => rows({ type: "namespace" }, signal), 30_000);
  const [chosen, setChosen] = useState("");
  const names = (namespaces.data ?? []).filter((row) => (row.meshed ?? 0) > 0).map((row) => row.name);
  const namespace = chosen || names[0] || "";
  const polled = usePoll(
    `policy ${namespace}`,
    async (signal) => {
      if (!namespace) return [];
      const all = await workloads({ namespace }, signal);
      return rulesOf(
        all.filter((row) => (row.meshed ?? 0) > 0).map(({ namespace, type, name }) => ({ namespace, type, name })),
        signal,
      );
    },
    10_000,
  );
  return (
    <>
      <h1>Policy</h1>
      <Section
        title="Who may call what"
        command={["authz", "deploy", "-n", namespace]}
        note={
          names.length > 1 ? (
            <label>
              <span class="visually-hidden">Namespace</span>
              <select value={namespace} onChange={(event) => setChosen(event.currentTarget.value)}>
                {names.map((name) => (
                  <option key={name}>{name}</option>
                ))}
              </select>
            </label>
          ) : undefined
        }
      >
        <Answered of={polled}>
          {(found) =>
            found.length === 0 ? (
              <Nothing title={`No object says who may call the workloads of ${namespace}.`}>
                The default policy holds for all their ports. A <code>Server</code> names a port, an{" "}
                <code>AuthorizationPolicy</code> whom it lets in.
              </Nothing>
            ) : (
              <Table
                label="Who may call what"
                columns={RULES}
                items={found}
                keyOf={(rule) =>
                  [rule.thing.name, rule.server, rule.route, rule.authorization_policy, rule.server_authorization].join(" ")
                }
                sortedBy="Workload"
              />
            )
          }
        </Answered>
      </Section>
    </>
  );
}
