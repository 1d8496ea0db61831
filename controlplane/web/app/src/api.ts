// What is asked of the control plane, and what its answers look like: the public API's own shapes.

export interface Page {
  version: string;
  program: string;
  source: "local" | "kubernetes";
  grafana: string;
  control_plane_namespace: string;
  tap: boolean;
}

export interface Stats {
  success: number;
  failure: number;
  success_rate: number;
  rps: number;
  latency_ms_p50: number;
  latency_ms_p95: number;
  latency_ms_p99: number;
  tls_percent: number | null;
  tcp_open_connections: number;
  tcp_read_bytes_rate: number;
  tcp_write_bytes_rate: number;
}

export interface Row {
  namespace: string;
  type: string;
  name: string;
  status: string;
  meshed: number | null;
  running: number | null;
  failed: number;
  stats: Stats | null;
}

export interface Pod {
  namespace: string;
  name: string;
  owner: string;
  status: string;
  ready: boolean;
  meshed: boolean;
  proxy_ready: boolean;
  proxy_version: string;
  ip: string;
  identity: string;
  uptime_s: number | null;
  restarts: number;
  problem: string;
  last_exit: string;
}

export interface Point {
  ago_s: number;
  rps: number;
  success_rate: number | null;
  latency_ms_p50: number | null;
  latency_ms_p95: number | null;
  latency_ms_p99: number | null;
}

export interface Edge {
  src: { namespace: string; type: string; name: string };
  dst: { namespace: string; type: string; name: string };
  client_id: string;
  server_id: string;
  no_identity_msg: string;
}

export interface Certificate {
  namespace: string;
  pod: string;
  identity: string;
  certificate: string | null;
  verified: boolean;
  problem: string;
}

export interface Check {
  category: string;
  description: string;
  status: "ok" | "warning" | "error";
  message: string;
  hint: string;
}

export interface Authorization {
  route: string;
  server: string;
  authorization_policy: string;
  server_authorization: string;
}

export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

type Query = Record<string, string | readonly string[] | boolean | undefined>;

export async function get<Answer>(path: string, query: Query, signal?: AbortSignal): Promise<Answer> {
  const words = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined || value === "" || value === false) continue;
    for (const one of Array.isArray(value) ? value : [String(value)]) words.append(name, one);
  }
  const asked = words.size ? `${path}?${words}` : path;
  let response: Response;
  try {
    response = await fetch(asked, { signal: signal ?? null, headers: { accept: "application/json" } });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, "the control plane does not answer");
  }
  const body: unknown = await response.json().catch(() => null);
  if (!response.ok) {
    const told = (body as { error?: unknown } | null)?.error;
    throw new ApiError(response.status, typeof told === "string" ? told : `status ${response.status}`);
  }
  return body as Answer;
}

export async function rows(query: Query, signal?: AbortSignal): Promise<Row[]> {
  const answer = await get<{ tables: { rows: Row[] }[] }>("/api/v1/stat", query, signal);
  return answer.tables.flatMap((table) => table.rows);
}
