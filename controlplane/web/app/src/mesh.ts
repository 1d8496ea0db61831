// What several views ask.

import { get, rows, type Page, type Row } from "./api";
import { WORKLOADS } from "./kinds";

let page: Promise<Page> | undefined;

export const pageFacts = (): Promise<Page> => (page ??= get<Page>("/api/page", {}).catch((error: unknown) => {
  page = undefined;
  throw error;
}));

const LOOK_AGAIN_MS = 30_000;
let present: { kinds: string[]; until: number } | undefined;

/** The kinds of workloads that there are: most meshes have one or two of seven. */
export async function workloadKinds(signal: AbortSignal): Promise<string[]> {
  if (present && performance.now() < present.until) return present.kinds;
  const found = await Promise.all(
    WORKLOADS.map(async (type) => ({
      type,
      some: (await rows({ type, all_namespaces: true }, signal)).length > 0,
    })),
  );
  const kinds = found.filter((one) => one.some).map((one) => one.type);
  present = { kinds, until: performance.now() + LOOK_AGAIN_MS };
  return kinds;
}

/** Of each kind of workloads: what `query` asks about it. */
export async function workloads(
  query: Record<string, string | boolean>,
  signal: AbortSignal,
): Promise<Row[]> {
  const kinds = await workloadKinds(signal);
  const tables = await Promise.all(kinds.map((type) => rows({ type, ...query }, signal)));
  return tables.flat();
}
