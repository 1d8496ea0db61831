// Small signs, drawn with the colour of the text around them.

import type { JSX } from "preact";

function Sign({ d, label }: { d: string; label?: string }): JSX.Element {
  const told = label ? ({ role: "img", "aria-label": label } as const) : ({ "aria-hidden": true } as const);
  return (
    <svg class="icon" viewBox="0 0 20 20" {...told}>
      <path d={d} />
    </svg>
  );
}

export const LOCK_CLOSED = "M6 9V6.5a4 4 0 0 1 8 0V9M4.5 9h11v7.5h-11z";
export const LOCK_OPEN = "M6 9V6.5a4 4 0 0 1 7.6-1.7M4.5 9h11v7.5h-11z";

export const Locked = ({ label = "secured by mutual TLS" }) => <Sign d={LOCK_CLOSED} label={label} />;
export const Unlocked = ({ label = "not secured" }) => <Sign d={LOCK_OPEN} label={label} />;
export const Overview = () => <Sign d="M3 3h6v6H3zM11 3h6v6h-6zM3 11h6v6H3zM11 11h6v6h-6z" />;
export const Edges = () => <Sign d="M4 5a1.8 1.8 0 1 0 .1 0zM16 5a1.8 1.8 0 1 0 .1 0zM10 15a1.8 1.8 0 1 0 .1 0zM6 7h8M5 9l4 6M15 9l-4 6" />;
export const Shield = () => <Sign d="M10 2.5 16.5 5v4.5c0 4-2.8 6.8-6.5 8-3.7-1.2-6.5-4-6.5-8V5z" />;
export const Pulse = () => <Sign d="M2 10h4l2-6 4 12 2-6h4" />;
export const Heart = () => <Sign d="M10 17S3 12.6 3 7.8A3.8 3.8 0 0 1 10 6a3.8 3.8 0 0 1 7 1.8C17 12.6 10 17 10 17z" />;
export const Sun = () => <Sign d="M10 6.5a3.5 3.5 0 1 0 .01 0zM10 1.5v2M10 16.500v2M1.5 10h2M16.500 10h2M4 4l1.400 1.400M14.600 14.600 16 16M4 16l1.400-1.400M14.600 5.400 16 4" />;
export const Moon = () => <Sign d="M16.500 12.200A7 7 0 0 1 7.800 3.500a7 7 0 1 0 8.700 8.700z" />;
export const Copy = () => <Sign d="M7 7h9.500v9.500H7zM13 7V3.500H3.500V13H7" />;
export const Chart = () => <Sign d="M3 17V3M3 17h14M6.500 13.500l3-4 3 2.500 4-6" />;
export const Search = () => <Sign d="M8.500 3a5.500 5.500 0 1 0 .01 0zM12.700 12.700 17 17" />;
