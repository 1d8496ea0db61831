// Answers that are asked for again and again, as long as somebody looks at them.

import { useEffect, useRef, useState } from "preact/hooks";

export const EVERY_MS = 2000;

export interface Polled<Answer> {
  /** The newest answer; it stays while a later question fails. */
  data: Answer | undefined;
  /** What is wrong with the newest question; empty when it was answered. */
  problem: string;
}

/** `key` says what is asked: with another one all begins anew. */
export function usePoll<Answer>(
  key: string,
  ask: (signal: AbortSignal) => Promise<Answer>,
  everyMs: number = EVERY_MS,
): Polled<Answer> {
  const [state, setState] = useState<Polled<Answer> & { key: string }>({ key, data: undefined, problem: "" });
  const asking = useRef(ask);
  asking.current = ask;
  useEffect(() => {
    const ended = new AbortController();
    let timer = 0;
    const turn = async () => {
      if (!document.hidden) {
        try {
          const data = await asking.current(ended.signal);
          if (!ended.signal.aborted) setState({ key, data, problem: "" });
        } catch (error) {
          if (ended.signal.aborted) return;
          const problem = error instanceof Error ? error.message : String(error);
          setState((old) => ({ key, data: old.key === key ? old.data : undefined, problem }));
        }
      }
      if (!ended.signal.aborted) timer = setTimeout(turn, everyMs);
    };
    const onShown = () => {
      if (document.hidden) return;
      clearTimeout(timer);
      void turn();
    };
    document.addEventListener("visibilitychange", onShown);
    void turn();
    return () => {
      ended.abort();
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", onShown);
    };
  }, [key, everyMs]);
  return state.key === key ? state : { data: undefined, problem: "" };
}
