// Figures as the command line prints them, so that both say the same.

export const percent = (rate: number): string => `${(rate * 100).toFixed(2)}%`;

export const rps = (rate: number): string =>
  rate >= 100 ? rate.toFixed(0) : rate >= 10 ? rate.toFixed(1) : rate.toFixed(2);

export const ms = (value: number): string =>
  value >= 10_000 ? `${(value / 1000).toFixed(1)} s` : `${Math.round(value)} ms`;

export const bytes = (rate: number): string => {
  const units = ["B", "kB", "MB", "GB"];
  let unit = 0;
  while (rate >= 1000 && unit < units.length - 1) {
    rate /= 1000;
    unit += 1;
  }
  return `${rate >= 100 || unit === 0 ? rate.toFixed(0) : rate.toFixed(1)} ${units[unit]}/s`;
};

export const since = (seconds: number): string => {
  const parts: [number, string][] = [
    [86_400, "d"],
    [3600, "h"],
    [60, "min"],
  ];
  for (const [length, name] of parts) if (seconds >= length) return `${Math.floor(seconds / length)} ${name}`;
  return `${Math.floor(seconds)} s`;
};

export type Health = "good" | "warn" | "bad" | "none";

// Linkerd's bounds: what succeeds less often than in 95 of 100 cases is bad, below 99 is to be looked at.
export const health = (rate: number | null | undefined): Health =>
  rate === null || rate === undefined ? "none" : rate >= 0.99 ? "good" : rate >= 0.95 ? "warn" : "bad";
