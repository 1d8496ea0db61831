// Kinds of things, as the public API names them, as addresses have them, and as people type them.

export interface Kind {
  name: string;
  path: string;
  short: string;
}

export const KINDS: readonly Kind[] = [
  { name: "deployment", path: "deployments", short: "deploy" },
  { name: "statefulset", path: "statefulsets", short: "sts" },
  { name: "daemonset", path: "daemonsets", short: "ds" },
  { name: "job", path: "jobs", short: "job" },
  { name: "cronjob", path: "cronjobs", short: "cj" },
  { name: "replicaset", path: "replicasets", short: "rs" },
  { name: "replicationcontroller", path: "replicationcontrollers", short: "rc" },
  { name: "pod", path: "pods", short: "po" },
  { name: "service", path: "services", short: "svc" },
];

export const WORKLOADS: readonly string[] = KINDS.slice(0, 7).map((kind) => kind.name);

export const kindOf = (name: string): Kind | undefined =>
  KINDS.find((kind) => kind.name === name || kind.path === name || kind.short === name);

export const short = (name: string): string => kindOf(name)?.short ?? name;

export interface Thing {
  namespace: string;
  type: string;
  name: string;
}

export const pathOf = (thing: Thing): string =>
  thing.type === "namespace"
    ? `/namespaces/${encodeURIComponent(thing.name)}`
    : `/namespaces/${encodeURIComponent(thing.namespace)}/${kindOf(thing.type)?.path ?? thing.type}/` +
      encodeURIComponent(thing.name);

export const keyOf = (thing: Thing): string => `${thing.namespace}/${thing.type}/${thing.name}`;
