// The routes of a thing's services: which of them fail, and a way to their calls.

import type { JSX } from "preact";
import { ApiError, get } from "../api";
import { health, ms, percent, rps } from "../format";
import { keyOf, short, type Thing } from "../kinds";
import { usePoll } from "../poll";
import { Section } from "../parts/command";
import { Success } from "../parts/figures";
import { Answered, Nothing } from "../parts/states";
import { Table, type Column } from "../parts/table";

interface RouteStats {
  success: number;
  failure: number;
  success_rate: number;
  rps: number;
  latency_ms_p50: number;
  latency_ms_p95: number;
  latency_ms_p99: number;
}

interface Route {
  route: string;
  service: string;
  authority: string;
  stats: RouteStats | null;
}

const rate = (route: Route): number | null =>
  route.stats && route.stats.success + route.stats.failure > 0 ? route.stats.success_rate : null;

const figure = (
  name: string,
  read: (stats: RouteStats) => number,
  say: (value: number) => string,
): Column<Route> => ({
  name,
  class: "number",
  sort: (route) => (route.stats ? read(route.stats) : null),
  text: (route) => (route.stats ? say(read(route.stats)) : ""),
  cell: (route) => (route.stats ? say(read(route.stats)) : <span class="dim">–</span>),
});

const columns = (open: (route: string) => void): readonly Column<Route>[] => [
  {
    name: "Route",
    class: "name",
    sort: (route) => route.route,
    text: (route) => route.route,
    cell: (route) => (
      <button type="button" class="plain thing link" data-row="" onClick={() => open(route.route)}>
        {route.route}
      </button>
    ),
  },
  {
    name: "Service",
    sort: (route) => route.service,
    text: (route) => route.service,
    cell: (route) => route.service,
  },
  {
    name: "Success",
    class: "rate",
    sort: rate,
    text: (route) => String(rate(route)),
    cell: (route) => <Success rate={rate(route)} />,
  },
  figure("RPS", (stats) => stats.rps, rps),
  figure("P50", (stats) => stats.latency_ms_p50, ms),
  figure("P95", (stats) => stats.latency_ms_p95, ms),
  figure("P99", (stats) => stats.latency_ms_p99, ms),
];

/** `open` shows the calls of one route. */
export function Routes({ thing, open }: { thing: Thing; open: (route: string) => void }): JSX.Element | null {
  const polled = usePoll(`routes ${keyOf(thing)}`, async (signal) => {
    try {
      const answer = await get<{ tables: { rows: Route[] }[] }>("/api/v1/routes", { ...thing }, signal);
      return answer.tables.flatMap((table) => table.rows);
    } catch (error) {
      // Not every kind has routes.
      if (error instanceof ApiError && error.status === 400) return [];
      throw error;
    }
  });
  // Without a profile there is one row, which says what stands above already.
  const named = polled.data?.some((route) => route.route !== "[DEFAULT]");
  if (polled.data && !polled.data.length) return null;
  const failing = (polled.data ?? []).filter((route) => ["warn", "bad"].includes(health(rate(route))));
  const worst = [...failing].sort((a, b) => (rate(a) ?? 1) - (rate(b) ?? 1))[0];
  return (
    <Section
      title="Routes"
      note={
        named && worst ? (
          <span class="bad-text">
            {worst.route}: {percent(1 - (rate(worst) ?? 1))} fail
          </span>
        ) : undefined
      }
      command={["routes", `${short(thing.type)}/${thing.name}`, "-n", thing.namespace]}
    >
      <Answered of={polled}>
        {(routes) =>
          named ? (
            <Table
              label="Routes"
              columns={columns(open)}
              items={routes}
              keyOf={(route) => `${route.authority} ${route.route}`}
              rowClass={(route) => health(rate(route))}
              sortedBy="Success"
            />
          ) : (
            <Nothing title="No ServiceProfile names routes of its services.">
              Live calls below show methods and paths all the same;{" "}
              <code>
                linkerd2-py profile -n {thing.namespace} --tap {short(thing.type)}/{thing.name} {routes[0]?.service}
              </code>{" "}
              makes a profile of them.
            </Nothing>
          )
        }
      </Answered>
    </Section>
  );
}
