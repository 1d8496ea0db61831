// Who calls whom, drawn from left to right. Places are computed when things come or go, not when figures change.

import dagre from "@dagrejs/dagre";
import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import { go } from "../route";
import { LOCK_CLOSED, LOCK_OPEN } from "./icons";

export interface Node {
  key: string;
  name: string;
  /** Above the name: its kind, and its namespace where that is another one. */
  over: string;
  /** Below it: success and rate. */
  under: string;
  how: string;
  to?: string;
  chosen?: boolean;
}

export interface Line {
  from: string;
  to: string;
  label: string;
  how: string;
  secured: boolean | null;
}

const WIDTH = 176;
const HEIGHT = 62;
const LABEL_WIDTH = 84;

interface Place {
  x: number;
  y: number;
}

interface Laid {
  width: number;
  height: number;
  nodes: Map<string, Place>;
  lines: Map<string, { points: Place[]; label: Place }>;
}

const lineKey = (line: Line): string => `${line.from} ${line.to}`;

function lay(nodes: readonly Node[], lines: readonly Line[]): Laid {
  const graph = new dagre.graphlib.Graph({ multigraph: false });
  graph.setGraph({ rankdir: "LR", nodesep: 18, ranksep: 44, marginx: 2, marginy: 2 });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const node of nodes) graph.setNode(node.key, { width: WIDTH, height: HEIGHT });
  for (const line of lines) {
    if (line.from === line.to) continue;
    graph.setEdge(line.from, line.to, { width: LABEL_WIDTH, height: 20, labelpos: "c" });
  }
  dagre.layout(graph);
  const laid: Laid = {
    width: graph.graph().width ?? WIDTH,
    height: graph.graph().height ?? HEIGHT,
    nodes: new Map(),
    lines: new Map(),
  };
  for (const key of graph.nodes()) {
    const { x, y } = graph.node(key);
    laid.nodes.set(key, { x, y });
  }
  for (const edge of graph.edges()) {
    const found = graph.edge(edge) as { points: Place[]; x: number; y: number };
    laid.lines.set(`${edge.v} ${edge.w}`, { points: found.points, label: { x: found.x, y: found.y } });
  }
  return laid;
}

// Through the middles between the points, so that a line bends and does not break.
function curve(points: readonly Place[]): string {
  const [first, ...rest] = points;
  if (!first) return "";
  let path = `M${first.x} ${first.y}`;
  rest.forEach((point, at) => {
    const next = rest[at + 1];
    if (!next) path += ` L${point.x} ${point.y}`;
    else path += ` Q${point.x} ${point.y} ${(point.x + next.x) / 2} ${(point.y + next.y) / 2}`;
  });
  return path;
}

const clip = (text: string, length: number): string =>
  text.length > length ? `${text.slice(0, length - 1)}…` : text;

export function Graph({
  nodes,
  lines,
  label,
}: {
  nodes: readonly Node[];
  lines: readonly Line[];
  label: string;
}): JSX.Element {
  const shape = `${nodes.map((node) => node.key).join("\n")}\n\n${lines.map(lineKey).join("\n")}`;
  const laid = useMemo(() => lay(nodes, lines), [shape]);
  return (
    <div class="graph" tabIndex={0} role="region" aria-label={label}>
      <svg
        viewBox={`0 0 ${laid.width} ${laid.height}`}
        width={laid.width}
        height={laid.height}
        role="group"
        aria-label={label}
      >
        <defs>
          {["good", "warn", "bad", "none"].map((how) => (
            <marker
              key={how}
              id={`head-${how}`}
              class={`head ${how}`}
              viewBox="0 0 8 8"
              refX="7"
              refY="4"
              markerWidth="7"
              markerHeight="7"
              orient="auto"
            >
              <path d="M0 0 8 4 0 8z" />
            </marker>
          ))}
        </defs>
        {lines.map((line) => {
          const at = laid.lines.get(lineKey(line));
          if (!at) return null;
          const { x, y } = at.label;
          return (
            <g key={lineKey(line)} class={`line ${line.how}`}>
              <path d={curve(at.points)} marker-end={`url(#head-${line.how})`} />
              {(line.label || line.secured !== null) && (
                <g transform={`translate(${x - LABEL_WIDTH / 2} ${y - 10})`}>
                  <rect width={LABEL_WIDTH} height="20" rx="10" />
                  {line.secured !== null && (
                    <svg
                      x="7"
                      y="4"
                      width="12"
                      height="12"
                      viewBox="0 0 20 20"
                      class={`icon ${line.secured ? "good" : "warn"}`}
                    >
                      <title>{line.secured ? "secured by mutual TLS" : "not secured"}</title>
                      <path d={line.secured ? LOCK_CLOSED : LOCK_OPEN} />
                    </svg>
                  )}
                  <text x={LABEL_WIDTH / 2 + 7} y="14" text-anchor="middle">
                    {line.label}
                  </text>
                </g>
              )}
            </g>
          );
        })}
        {nodes.map((node) => {
          const at = laid.nodes.get(node.key);
          if (!at) return null;
          const { to } = node;
          const shown = (
            <g transform={`translate(${at.x - WIDTH / 2} ${at.y - HEIGHT / 2})`}>
              <rect class="box" width={WIDTH} height={HEIGHT} rx="9" />
              <rect class="edge-mark" width="4" height={HEIGHT - 20} x="0" y="10" rx="2" />
              <text class="over" x="14" y="18">
                {clip(node.over, 24)}
              </text>
              <text class="of" x="14" y="34">
                {clip(node.name, 20)}
              </text>
              <text class="under" x="14" y="51">
                {node.under}
              </text>
            </g>
          );
          const kind = `node ${node.how} ${node.chosen ? "chosen" : ""}`;
          if (!to) return <g key={node.key} class={kind}>{shown}</g>;
          return (
            <a
              key={node.key}
              class={kind}
              href={to}
              onClick={(event: MouseEvent) => {
                if (event.metaKey || event.ctrlKey || event.shiftKey) return;
                event.preventDefault();
                go(to);
              }}
            >
              {shown}
            </a>
          );
        })}
      </svg>
    </div>
  );
}
