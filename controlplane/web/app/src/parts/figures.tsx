// Figures of traffic, everywhere in the same words and colours.

import type { JSX } from "preact";
import type { Stats } from "../api";
import { health, ms, percent, rps } from "../format";
import { Locked, Unlocked } from "./icons";

const WORDS = { good: "", warn: "below 99%", bad: "below 95%", none: "no traffic" } as const;

export function Success({ rate }: { rate: number | null }): JSX.Element {
  const how = health(rate);
  if (rate === null) return <span class="dim">–</span>;
  return (
    <span class={`success ${how}`} title={WORDS[how] || undefined}>
      <span class="bar" aria-hidden="true">
        <span class="fill" style={{ transform: `scaleX(${Math.max(0, Math.min(1, rate))})` }} />
      </span>
      <span class="figure">{percent(rate)}</span>
    </span>
  );
}

export function Secured({ tls }: { tls: number | null }): JSX.Element {
  if (tls === null) return <span class="dim">–</span>;
  const whole = tls >= 99.95;
  return (
    <span class={whole ? "tls good" : "tls warn"}>
      {whole ? <Locked /> : <Unlocked label="partly not secured" />}
      {!whole && <span class="figure">{Math.round(tls)}%</span>}
    </span>
  );
}

export function Tile({
  name,
  value,
  how = "none",
  note,
}: {
  name: string;
  value: string;
  how?: string;
  note?: string | undefined;
}): JSX.Element {
  return (
    <div class={`tile ${how}`}>
      <dt>{name}</dt>
      <dd>
        {value}
        {note && <small>{note}</small>}
      </dd>
    </div>
  );
}

export function Tiles({ stats, more }: { stats: Stats | null; more?: JSX.Element }): JSX.Element {
  const rate = stats && stats.success + stats.failure ? stats.success_rate : null;
  return (
    <dl class="tiles">
      <Tile name="Success rate" value={rate === null ? "–" : percent(rate)} how={health(rate)} />
      <Tile name="Requests per second" value={stats ? rps(stats.rps) : "–"} />
      <Tile name="Latency p50" value={stats ? ms(stats.latency_ms_p50) : "–"} />
      <Tile name="Latency p95" value={stats ? ms(stats.latency_ms_p95) : "–"} />
      <Tile name="Latency p99" value={stats ? ms(stats.latency_ms_p99) : "–"} />
      {more}
    </dl>
  );
}
