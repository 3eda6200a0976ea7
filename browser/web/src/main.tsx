import { h, render, Fragment } from "preact";
import { useEffect, useState } from "preact/hooks";
import { About } from "./api";
import { change, get, offline, saying, Failure } from "./client";
import { useRoute, href, go } from "./router";
import { useKeys, Help } from "./keys";
import { Theme } from "./theme";
import { List } from "./list/List";
import { IncidentPage } from "./incident/IncidentPage";
import { ComparePage } from "./incident/Compare";
import { NowPage } from "./now/Now";

/** Trades the token of the address for a session, and takes it out of the address. */
async function login(): Promise<void> {
  const token = /^#token=([^&]+)/.exec(location.hash)?.[1];
  if (!token || offline) return;
  history.replaceState(null, "", location.pathname + "#/");
  dispatchEvent(new HashChangeEvent("hashchange"));
  await change("POST", "login", { token: decodeURIComponent(token) });
}

function App() {
  const route = useRoute();
  const [about, setAbout] = useState<About | null>(null);
  const [error, setError] = useState("");
  const [help, setHelp] = useState(false);
  useEffect(() => {
    login()
      .then(() => get<About>("about"))
      .then(setAbout, (e) =>
        setError(e instanceof Failure && e.code === "unauthorized" ? "This page needs the token: open the address that vigil browse has printed. " + e.message : saying(e)),
      );
  }, []);
  useKeys({
    "?": () => setHelp(true),
    "g l": () => go("#/"),
    "g n": () => go("#/now"),
  });
  const [view, ...rest] = route.parts;
  useEffect(() => {
    document.title = view === "incident" ? "vigil: " + rest[0] : view === "now" ? "vigil: now" : view === "compare" ? "vigil: compare" : "vigil: incidents";
  }, [view, rest[0]]);
  if (error)
    return (
      <main>
        <h1>vigil</h1>
        <div class="note bad" role="alert">
          {error}
        </div>
      </main>
    );
  if (!about) return <p role="status">Loading…</p>;
  return (
    <Fragment>
      <a
        class="skip"
        href="#main"
        onClick={(e) => {
          e.preventDefault();
          document.getElementById("main")?.focus();
        }}
      >
        Skip to the content
      </a>
      <header class="top">
        <a class="brand" href={href([])}>
          vigil
        </a>
        <nav aria-label="Main">
          <a href={href([])} aria-current={!view ? "page" : undefined}>
            Incidents
          </a>
          {!about.offline && (
            <a href={href(["now"])} aria-current={view === "now" ? "page" : undefined}>
              Now
            </a>
          )}
        </nav>
        <span class="grow" />
        <Theme />
        <button onClick={() => setHelp(true)} aria-label="Keys and help">
          ?
        </button>
      </header>
      <main id="main" tabIndex={-1}>
        {view === "incident" && rest[0] ? (
          <IncidentPage key={rest[0]} id={rest[0]} view={rest[1] || "stacks"} route={route} about={about} />
        ) : view === "compare" && rest[1] ? (
          <ComparePage left={rest[0]} right={rest[1]} />
        ) : view === "now" ? (
          <NowPage about={about} />
        ) : view ? (
          <Fragment>
            <h1>Nothing here</h1>
            <p>
              There is no page of this name. <a href={href([])}>To the incidents</a>
            </p>
          </Fragment>
        ) : (
          <List route={route} about={about} />
        )}
      </main>
      {help && <Help onClose={() => setHelp(false)} />}
    </Fragment>
  );
}

render(<App />, document.getElementById("app")!);
