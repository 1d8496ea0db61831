// The frame around all views.

import { render, type JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { kindOf } from "./kinds";
import { pageFacts } from "./mesh";
import { usePoll } from "./poll";
import { go, Link, usePath, wordsOf } from "./route";
import { SearchBox } from "./search";
import { takeToken } from "./tap";
import { useTheme } from "./theme";
import { Edges, Heart, Moon, Overview, Shield, Sun } from "./parts/icons";
import { Nothing } from "./parts/states";
import { EdgesView } from "./views/edges";
import { HealthView } from "./views/health";
import { NamespaceView } from "./views/namespace";
import { OverviewView } from "./views/overview";
import { PolicyView } from "./views/policy";
import { ResourceView } from "./views/resource";
import icon from "./icon.svg";
import "./styles.css";

const NAVIGATION = [
  { to: "/", text: "Overview", key: "o", Icon: Overview },
  { to: "/edges", text: "Connections", key: "c", Icon: Edges },
  { to: "/policy", text: "Policy", key: "p", Icon: Shield },
  { to: "/controlplane", text: "Control plane", key: "h", Icon: Heart },
] as const;

function View({ path }: { path: string }): JSX.Element {
  const words = wordsOf(path);
  const [first, namespace, kind, name] = words;
  if (!first) return <OverviewView />;
  if (words.length === 1 && first === "edges") return <EdgesView />;
  if (words.length === 1 && first === "policy") return <PolicyView />;
  if (words.length === 1 && first === "controlplane") return <HealthView />;
  if (first === "namespaces" && namespace && words.length === 2)
    return <NamespaceView key={namespace} name={namespace} />;
  const found = kindOf(kind ?? "");
  if (first === "namespaces" && namespace && found && name && words.length === 4)
    return <ResourceView key={path} thing={{ namespace, type: found.name, name }} />;
  return (
    <Nothing title="There is no such page.">
      <Link to="/">The overview</Link> has all that there is.
    </Nothing>
  );
}

function titleOf(path: string): string {
  const words = wordsOf(path);
  const page = NAVIGATION.find((one) => one.to === `/${words.join("/")}`)?.text;
  return `${page ?? words.slice(1).filter((word) => !kindOf(word)).reverse().join(" · ")} – linkerd2-py`;
}

function App(): JSX.Element {
  const path = usePath();
  const [theme, toggle] = useTheme();
  const page = usePoll("page", pageFacts, 60_000);
  const main = useRef<HTMLElement>(null);
  const [help, setHelp] = useState(false);
  useEffect(() => {
    document.title = titleOf(path);
    // Who came by a link is told by their screen reader where they are now.
    main.current?.focus({ preventScroll: true });
  }, [path]);
  useKeys({ toggle, help: () => setHelp((shown) => !shown), close: () => setHelp(false) });
  return (
    <>
      <a class="skip" href="#main">
        To the content
      </a>
      <header class="top">
        <Link to="/" class="brand">
          <img src={icon} alt="" width="26" height="26" />
          <span>
            linkerd2-py
            <small>{page.data?.source === "local" ? "local mesh" : page.data ? "cluster" : " "}</small>
          </span>
        </Link>
        <nav aria-label="Views">
          {NAVIGATION.map(({ to, text, Icon }) => (
            <Link key={to} to={to} current={path === to || (to === "/" && path.startsWith("/namespaces"))}>
              <Icon />
              <span>{text}</span>
            </Link>
          ))}
        </nav>
        <SearchBox />
        <button
          type="button"
          class="plain theme"
          onClick={toggle}
          aria-label={theme === "dark" ? "Light colours" : "Dark colours"}
        >
          {theme === "dark" ? <Sun /> : <Moon />}
        </button>
      </header>
      <main id="main" ref={main} tabIndex={-1}>
        <View path={path} />
      </main>
      {help && <Help close={() => setHelp(false)} />}
    </>
  );
}

function Help({ close }: { close: () => void }): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} class="help" aria-labelledby="help-title" onClose={close}>
      <h2 id="help-title">Keys</h2>
      <dl>
        <dt>
          <kbd>/</kbd>
        </dt>
        <dd>find something by its name</dd>
        {NAVIGATION.map((one) => (
          <>
            <dt>
              <kbd>g</kbd> <kbd>{one.key}</kbd>
            </dt>
            <dd>{one.text}</dd>
          </>
        ))}
        <dt>
          <kbd>j</kbd> <kbd>k</kbd>
        </dt>
        <dd>next and previous row of a table</dd>
        <dt>
          <kbd>t</kbd>
        </dt>
        <dd>light or dark</dd>
        <dt>
          <kbd>?</kbd>
        </dt>
        <dd>this list</dd>
      </dl>
      <button type="button" class="button" onClick={close}>
        Close
      </button>
    </dialog>
  );
}

function moveInTable(by: number): void {
  const links = [...document.querySelectorAll<HTMLElement>("[data-row]")];
  const now = links.indexOf(document.activeElement as HTMLElement);
  links[now < 0 ? 0 : Math.max(0, Math.min(links.length - 1, now + by))]?.focus();
}

function useKeys(act: { toggle: () => void; help: () => void; close: () => void }): void {
  const acts = useRef(act);
  acts.current = act;
  useEffect(() => {
    let after = "";
    const onKey = (event: KeyboardEvent) => {
      const typing = (event.target as HTMLElement).closest?.("input, select, textarea");
      if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
      const page = after === "g" && NAVIGATION.find((one) => one.key === event.key);
      after = event.key;
      if (page) go(page.to);
      else if (event.key === "j") moveInTable(1);
      else if (event.key === "k") moveInTable(-1);
      else if (event.key === "t") acts.current.toggle();
      else if (event.key === "?") acts.current.help();
      else if (event.key === "Escape") acts.current.close();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);
}

takeToken();
const place = document.getElementById("app");
if (place) render(<App />, place);
