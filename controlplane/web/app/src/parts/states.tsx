// What stands where there is nothing to show yet, nothing at all, or no answer: and what to do about it.

import type { ComponentChildren, JSX } from "preact";
import type { Polled } from "../poll";

export function Loading(): JSX.Element {
  return (
    <div class="loading" role="status">
      <span class="visually-hidden">Waiting for the first answer</span>
      <div class="bone" />
      <div class="bone" />
      <div class="bone" />
    </div>
  );
}

export function Nothing({ title, children }: { title: string; children?: ComponentChildren }): JSX.Element {
  return (
    <div class="nothing">
      <p class="nothing-title">{title}</p>
      {children && <p>{children}</p>}
    </div>
  );
}

export function Problem({ text, stale }: { text: string; stale?: boolean }): JSX.Element {
  return (
    <div class="problem" role="alert">
      <strong>{stale ? "These figures are old." : "No answer."}</strong> {text}. This page asks again every two
      seconds; <code>linkerd2-py check</code> says what is wrong with the mesh.
    </div>
  );
}

/** `children` with the newest answer, or what stands in its place. */
export function Answered<Answer>({
  of,
  children,
}: {
  of: Polled<Answer>;
  children: (data: Answer) => ComponentChildren;
}): JSX.Element {
  if (of.data === undefined) return of.problem ? <Problem text={of.problem} /> : <Loading />;
  return (
    <>
      {of.problem && <Problem text={of.problem} stale />}
      {children(of.data)}
    </>
  );
}
