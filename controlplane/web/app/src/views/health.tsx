// `check`, as a page: is the control plane well, and what to do where it is not.

import type { JSX } from "preact";
import { get, type Check } from "../api";
import { pageFacts } from "../mesh";
import { usePoll } from "../poll";
import { Section } from "../parts/command";
import { Answered } from "../parts/states";

const SIGNS = { ok: "√", warning: "‼", error: "×" } as const;
const HOW = { ok: "good", warning: "warn", error: "bad" } as const;
const WORDS = { ok: "well", warning: "warning", error: "failed" } as const;

export function HealthView(): JSX.Element {
  const polled = usePoll(
    "health",
    (signal) => get<{ results: Check[] }>("/api/v1/self-check", {}, signal),
    5000,
  );
  const page = usePoll("page", pageFacts, 60_000);
  return (
    <>
      <h1>Control plane</h1>
      <Answered of={polled}>
        {({ results }) => {
          const wrong = results.filter((result) => result.status !== "ok");
          return (
            <>
              <p class={`verdict ${wrong.length ? HOW[worst(wrong)] : "good"}`} role="status">
                <span class="sign" aria-hidden="true">
                  {SIGNS[wrong.length ? worst(wrong) : "ok"]}
                </span>
                {wrong.length
                  ? `${wrong.length} of ${results.length} checks need a look`
                  : `All ${results.length} checks are well`}
                {page.data && <span class="dim">version {page.data.version}</span>}
              </p>
              <Section title="Checks" command={["check"]}>
                <ul class="checks">
                  {[...wrong, ...results.filter((result) => result.status === "ok")].map((result) => (
                    <li key={`${result.category} ${result.description}`} class={HOW[result.status]}>
                      <span class="sign" role="img" aria-label={WORDS[result.status]}>
                        {SIGNS[result.status]}
                      </span>
                      <span class="category">{result.category}</span>
                      <span class="description">
                        {result.description}
                        {result.message && <span class="message">{result.message}</span>}
                        {result.status !== "ok" && result.hint && <span class="hint">{result.hint}</span>}
                      </span>
                    </li>
                  ))}
                </ul>
              </Section>
            </>
          );
        }}
      </Answered>
    </>
  );
}

const worst = (wrong: readonly Check[]): "warning" | "error" =>
  wrong.some((result) => result.status === "error") ? "error" : "warning";
