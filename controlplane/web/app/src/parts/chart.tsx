// Values over time.

import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

export interface Series {
  name: string;
  colour: string;
  values: (number | null)[];
}

const HEIGHT = 150;

const clock = (seconds: number): string =>
  new Date(seconds * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hour12: false });

// A canvas knows no style sheet: colours are read where they are used.
const colour = (name: string): string =>
  getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

export function Chart({
  title,
  times,
  series,
  say,
  most,
}: {
  title: string;
  /** Seconds since the epoch. */
  times: number[];
  series: readonly Series[];
  say: (value: number) => string;
  /** Where the axis ends, when it is known beforehand. */
  most?: number;
}): JSX.Element {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>();
  const names = series.map((one) => one.name).join();
  useEffect(() => {
    const here = place.current;
    if (!here) return;
    const axis = { stroke: () => colour("muted"), font: "11px system-ui, sans-serif" };
    const grid = { stroke: () => colour("line"), width: 1 };
    const made = new uPlot(
      {
        width: here.clientWidth || 300,
        height: HEIGHT,
        padding: [10, 14, 0, 0],
        legend: { show: false },
        cursor: { y: false, points: { size: 5 } },
        scales: {
          x: { time: true },
          y: { range: (_plot, _least, greatest) => [0, most ?? Math.max(greatest * 1.15, 0.001)] },
        },
        axes: [
          {
            ...axis,
            grid: { show: false },
            ticks: { show: false },
            space: 48,
            size: 26,
            gap: 7,
            values: (_plot, all) => all.map(clock),
          },
          {
            ...axis,
            grid,
            ticks: { show: false },
            size: 56,
            values: (_plot, all) => all.map((value) => say(value).replace(/\.00\b/, "")),
            ...(most === undefined ? {} : { splits: [0, most / 2, most] }),
          },
        ],
        series: [
          {},
          ...series.map((one) => ({
            label: one.name,
            stroke: () => colour(one.colour),
            width: 1.6,
            points: { show: false },
            spanGaps: false,
            ...(series.length === 1 ? { fill: () => `${colour(one.colour)}1c` } : {}),
          })),
        ],
      },
      [times, ...series.map((one) => one.values)],
      here,
    );
    plot.current = made;
    const sized = new ResizeObserver(() => {
      if (here.clientWidth) made.setSize({ width: here.clientWidth, height: HEIGHT });
    });
    sized.observe(here);
    // Other colours when the theme is another.
    const themed = new MutationObserver(() => made.redraw(false, true));
    themed.observe(document.documentElement, { attributeFilter: ["data-theme"] });
    return () => {
      sized.disconnect();
      themed.disconnect();
      made.destroy();
    };
  }, [names, most]);
  useEffect(() => {
    plot.current?.setData([times, ...series.map((one) => one.values)]);
  }, [times, series]);
  const last = series.map((one) => {
    const value = one.values.at(-1);
    return `${one.name} ${value === null || value === undefined ? "no traffic" : say(value)}`;
  });
  return (
    <figure class="chart">
      <figcaption>
        {title}
        <span class="legend">
          {series.length > 1 &&
            series.map((one) => (
              <span key={one.name}>
                <i class={`swatch ${one.colour}`} />
                {one.name}
              </span>
            ))}
        </span>
      </figcaption>
      <div ref={place} class="plot" role="img" aria-label={`${title}, now: ${last.join(", ")}`} />
    </figure>
  );
}
