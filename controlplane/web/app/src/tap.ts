// Live calls: one WebSocket a watch. Browsers may watch only with a token (locally) or as the dashboard's own
// account (in a cluster); the token comes in the part of the address that is never sent to anybody.

const KEY = "tap-token";

/** Takes the token out of the address, so that it is not kept in its history. */
export function takeToken(): void {
  const said = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!said) return;
  try {
    sessionStorage.setItem(KEY, said);
  } catch {
    kept = said;
  }
  history.replaceState(null, "", location.pathname + location.search);
}

let kept = "";

const token = (): string => {
  try {
    return sessionStorage.getItem(KEY) ?? kept;
  } catch {
    return kept;
  }
};

export interface Filter {
  namespace: string;
  type: string;
  name: string;
  to?: string;
  method?: string;
  path?: string;
  authority?: string;
}

export interface End {
  ip?: string;
  port?: number;
  metadata?: Record<string, string>;
}

export interface TapEvent {
  source?: End;
  destination?: End;
  routeMeta?: Record<string, string> | null;
  proxyDirection?: string;
  requestInitEvent?: {
    method?: string;
    authority?: string;
    path?: string;
  };
  responseInitEvent?: { sinceRequestInit?: Span; httpStatus?: number };
  responseEndEvent?: {
    sinceRequestInit?: Span;
    responseBytes?: number;
    grpcStatusCode?: number;
    resetErrorCode?: number;
    ended?: "grpc" | "reset" | "plain";
  };
  exchange: string;
}

/** About the watch itself, between its events. */
export type Notice =
  | { notice: "watching"; pods: number; troubles: { namespace: string; pod: string; reason: string }[] }
  | { notice: "lost"; events: number }
  | { notice: "ended"; reason: string };

interface Span {
  seconds?: number;
  nanos?: number;
}

export interface Call {
  key: string;
  at: number;
  direction: string;
  source: string;
  destination: string;
  method: string;
  authority: string;
  path: string;
  route: string;
  secured: boolean;
  status: number | null;
  grpc: number | null;
  reset: number | null;
  latencyMs: number | null;
  ended: boolean;
}

export const failed = (call: Call): boolean =>
  call.reset !== null || (call.status !== null && call.status >= 500) || (call.grpc !== null && call.grpc !== 0);

const GRPC = [
  "OK",
  "CANCELLED",
  "UNKNOWN",
  "INVALID_ARGUMENT",
  "DEADLINE_EXCEEDED",
  "NOT_FOUND",
  "ALREADY_EXISTS",
  "PERMISSION_DENIED",
  "RESOURCE_EXHAUSTED",
  "FAILED_PRECONDITION",
  "ABORTED",
  "OUT_OF_RANGE",
  "UNIMPLEMENTED",
  "INTERNAL",
  "UNAVAILABLE",
  "DATA_LOSS",
  "UNAUTHENTICATED",
];

export const outcome = (call: Call): string => {
  if (call.reset !== null) return "reset";
  if (call.grpc !== null && call.grpc !== undefined) return GRPC[call.grpc] ?? `gRPC ${call.grpc}`;
  if (call.status !== null) return String(call.status);
  return "…";
};

const millis = (span: Span | undefined): number | null =>
  span ? (span.seconds ?? 0) * 1000 + (span.nanos ?? 0) / 1e6 : null;

// Pods that share an address are told apart by what their certificates prove: account and namespace.
const proven = (identity: string | undefined): string | undefined =>
  identity?.split(".serviceaccount.", 1)[0];

const endName = (end: End | undefined): string => {
  const told = end?.metadata ?? {};
  const identity = proven(told["client_id"] ?? told["server_id"]);
  return told["pod"] ?? told["deployment"] ?? identity ?? (end?.ip ? `${end.ip}:${end.port ?? ""}` : "?");
};

/** Joins the events of each call; the newest calls first. */
export class Calls {
  private readonly open = new Map<string, Call>();
  readonly all: Call[] = [];

  constructor(private readonly most: number) {}

  add(event: TapEvent): Call | undefined {
    const key = event.exchange;
    if (event.requestInitEvent) {
      const { method, authority, path } = event.requestInitEvent;
      const call: Call = {
        key,
        at: Date.now(),
        direction: event.proxyDirection ?? "",
        source: endName(event.source),
        destination: endName(event.destination),
        method: method ?? "",
        authority: authority ?? "",
        path: path ?? "",
        route: event.routeMeta?.["route"] ?? "",
        secured: (event.destination?.metadata?.["tls"] ?? event.source?.metadata?.["tls"]) === "true",
        status: null,
        grpc: null,
        reset: null,
        latencyMs: null,
        ended: false,
      };
      this.open.set(key, call);
      this.all.unshift(call);
      if (this.all.length > this.most) this.all.pop();
      return call;
    }
    const call = this.open.get(key);
    if (!call) return undefined;
    if (event.responseInitEvent) {
      call.status = event.responseInitEvent.httpStatus ?? null;
      call.latencyMs = millis(event.responseInitEvent.sinceRequestInit);
    } else if (event.responseEndEvent) {
      const end = event.responseEndEvent;
      call.grpc = end.ended === "grpc" ? (end.grpcStatusCode ?? 0) : null;
      call.reset = end.ended === "reset" ? (end.resetErrorCode ?? 0) : null;
      call.latencyMs = millis(end.sinceRequestInit) ?? call.latencyMs;
      call.ended = true;
      this.open.delete(key);
    }
    return call;
  }
}

export interface Watch {
  stop: () => void;
}

export function watch(
  filter: Filter,
  onEvent: (event: TapEvent) => void,
  onNotice: (notice: Notice) => void,
  onEnd: (reason: string) => void,
): Watch {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  const socket = new WebSocket(`${scheme}//${location.host}/api/tap`);
  let over = false;
  const end = (reason: string) => {
    if (over) return;
    over = true;
    onEnd(reason);
  };
  socket.onopen = () => socket.send(JSON.stringify({ token: token(), ...filter }));
  socket.onmessage = (message) => {
    const told = JSON.parse(String(message.data)) as TapEvent | Notice;
    if (!("notice" in told)) onEvent(told);
    else if (told.notice === "ended") end(told.reason);
    else onNotice(told);
  };
  socket.onclose = (event) =>
    end(event.reason || (event.code === 1000 ? "" : "the connection to the dashboard is gone"));
  return {
    stop: () => {
      end("");
      socket.close(1000);
    },
  };
}
