// Light or dark: what the system says, until a person chooses.

import { useEffect, useState } from "preact/hooks";

const KEY = "theme";
export type Theme = "light" | "dark";

function remembered(): Theme {
  try {
    const said = localStorage.getItem(KEY);
    if (said === "light" || said === "dark") return said;
  } catch {
    // A browser that keeps nothing for us has a system that says it.
  }
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

export function useTheme(): [Theme, () => void] {
  const [theme, setTheme] = useState<Theme>(remembered);
  useEffect(() => {
    document.documentElement.dataset["theme"] = theme;
  }, [theme]);
  const toggle = () =>
    setTheme((old) => {
      const next = old === "dark" ? "light" : "dark";
      try {
        localStorage.setItem(KEY, next);
      } catch {
        // It holds for this visit.
      }
      return next;
    });
  return [theme, toggle];
}
