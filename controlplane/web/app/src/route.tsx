// Addresses of views. Every view has one that may be kept, sent to somebody, and opened anew.

import type { ComponentChildren, JSX } from "preact";
import { useEffect, useState } from "preact/hooks";

const CHANGED = "mesh:moved";

export function go(path: string): void {
  history.pushState(null, "", path);
  dispatchEvent(new Event(CHANGED));
  scrollTo(0, 0);
}

export function usePath(): string {
  const [path, setPath] = useState(location.pathname);
  useEffect(() => {
    const read = () => setPath(location.pathname);
    addEventListener(CHANGED, read);
    addEventListener("popstate", read);
    return () => {
      removeEventListener(CHANGED, read);
      removeEventListener("popstate", read);
    };
  }, []);
  return path;
}

interface LinkProps extends JSX.HTMLAttributes<HTMLAnchorElement> {
  to: string;
  current?: boolean;
  children: ComponentChildren;
}

export function Link({ to, current, children, ...more }: LinkProps): JSX.Element {
  const onClick = (event: MouseEvent) => {
    // Whoever wants another tab gets one.
    if (event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go(to);
  };
  return (
    <a {...more} href={to} onClick={onClick} aria-current={current ? "page" : undefined}>
      {children}
    </a>
  );
}

const decoded = (word: string): string => {
  try {
    return decodeURIComponent(word);
  } catch {
    return word;
  }
};

export const wordsOf = (path: string): string[] => path.split("/").filter(Boolean).map(decoded);
