import { h, Fragment } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { About, Facet, Issue, Issues, Occurrences } from "../api";
import { get, listen, offline, saying } from "../client";
import { useLoad } from "../load";
import { Badges, Empty, Rows, State, Time } from "../parts";
import { Route, choose, href } from "../router";
import { step, useKeys } from "../keys";
import { clean, count, plural, when } from "../text";

const page = 200;
const rowHeight = 64;

const times: [string, string][] = [
  ["", "any time"],
  ["3600", "the last hour"],
  ["86400", "the last day"],
  ["604800", "the last week"],
  ["2592000", "the last 30 days"],
];

export function List({ route, about }: { route: Route; about: About }) {
  const q = route.query;
  const [text, setText] = useState(q.q || "");
  const search = useRef<HTMLInputElement>(null);
  const [more, setMore] = useState<{ [page: number]: Issue[] }>({});
  const [moreError, setMoreError] = useState("");
  const asked = useRef<{ of: Issues | null; pages: Set<number> }>({ of: null, pages: new Set() });
  const [fresh, setFresh] = useState(0);
  const since = useRef<{ of: string; at: string }>({ of: "", at: "" });
  if (since.current.of !== (q.within || "")) {
    // Rounded to the minute, so that the same choice is the same question.
    const at = q.within ? new Date(Math.floor((Date.now() - Number(q.within) * 1000) / 60000) * 60000).toISOString() : "";
    since.current = { of: q.within || "", at };
  }
  const query = offline ? {} : { service: q.service, cause: q.cause, version: q.version, source: q.source, q: q.q, since: since.current.at, limit: page };
  const loaded = useLoad<Issues>("incidents", query);
  useEffect(() => {
    asked.current = { of: loaded.value, pages: new Set([0]) };
    setMore({});
    setMoreError("");
  }, [loaded.value]);
  const pageOf = (n: number) => (n === 0 ? loaded.value?.issues || [] : more[n] || []);
  const issueAt = (n: number): Issue | undefined => (offline ? pageOf(0)[n] : pageOf(Math.floor(n / page))[n % page]);
  const opened = () => [...pageOf(0), ...Object.values(more).flat()].find((i) => keyOf(i) === q.open);
  useEffect(
    () =>
      listen((kind) => {
        if (kind === "incident" || kind === "removed") {
          if ((document.querySelector(".rows")?.scrollTop || 0) < 10 && !document.querySelector(".rows :focus")) loaded.again();
          else if (kind === "incident") setFresh((n) => n + 1);
        }
      }),
    [],
  );
  useEffect(() => {
    if (text === (q.q || "")) return;
    const t = setTimeout(() => choose(route, { q: text }), 250);
    return () => clearTimeout(t);
  }, [text]);
  useKeys({
    j: () => step(".rows .issue > a", 1),
    k: () => step(".rows .issue > a", -1),
    "/": () => search.current?.focus(),
  });
  // Pages are loaded when they come into sight, each once.
  const load = (from: number, to: number) => {
    const of = asked.current;
    if (offline || !of.of || of.of !== loaded.value) return;
    for (let n = Math.floor(from / page); n * page < Math.min(to, of.of.total); n++) {
      if (of.pages.has(n)) continue;
      of.pages.add(n);
      get<Issues>("incidents", { ...query, offset: n * page }).then(
        (v) => asked.current === of && setMore((m) => ({ ...m, [n]: v.issues || [] })),
        (e) => asked.current === of && setMoreError(saying(e)),
      );
    }
  };
  const v = loaded.value;
  const facets = v?.facets;
  const filtered = q.service || q.cause || q.version || q.source || q.q || q.within;
  return (
    <Fragment>
      <div class="head">
        <h1>Incidents</h1>
        <p class="quiet" role="status">
          {v && (
            <Fragment>
              {plural(v.incidents, "incident")} of {plural(v.total, "kind")}
              {filtered ? " match" : ""}
            </Fragment>
          )}
          {loaded.busy && v && " …"}
        </p>
        {fresh > 0 && (
          <button
            class="primary"
            onClick={() => {
              setFresh(0);
              loaded.again();
            }}
          >
            {fresh} new
          </button>
        )}
      </div>
      {!offline && (
        <search class="filters">
          <label>
            Search
            <input
              ref={search}
              type="search"
              value={text}
              placeholder="in sentences and stacks"
              onInput={(e) => setText(e.currentTarget.value)}
              onKeyDown={(e) => e.key === "Escape" && e.currentTarget.blur()}
            />
          </label>
          <Choice name="Service" of={facets?.services} value={q.service} onChange={(service) => choose(route, { service })} />
          <Choice name="Cause" of={facets?.causes} value={q.cause} onChange={(cause) => choose(route, { cause })} />
          {(facets?.versions?.length || 0) > 0 && <Choice name="Version" of={facets?.versions} value={q.version} onChange={(version) => choose(route, { version })} />}
          {about.sources && about.sources.length > 1 && <Choice name="Source" of={facets?.sources} value={q.source} onChange={(source) => choose(route, { source })} />}
          <label>
            Time
            <select value={q.within || ""} onChange={(e) => choose(route, { within: e.currentTarget.value })}>
              {times.map(([value, name]) => (
                <option value={value}>{name}</option>
              ))}
            </select>
          </label>
          {filtered && (
            <button
              onClick={() => {
                setText("");
                choose(route, { q: "", service: "", cause: "", version: "", source: "", within: "" });
              }}
            >
              Clear
            </button>
          )}
        </search>
      )}
      {v?.stopped && <div class="note">{v.stopped}</div>}
      {(v?.problems || []).slice(0, 5).map((p) => (
        <div class="note bad">{clean(p)}</div>
      ))}
      <State busy={loaded.busy && !v} error={loaded.error} again={loaded.again}>
        {!v || v.total === 0 ? (
          <Empty>
            {filtered
              ? "No incident matches this."
              : "There are no incidents: nothing that vigil watches has died, and nobody took a snapshot. " + (about.sources || []).map((s) => clean(s.path)).join(", ")}
          </Empty>
        ) : (
          <Rows
            length={v.total}
            height={rowHeight}
            label="Incidents by fingerprint"
            onSight={load}
            row={(n) => {
              const issue = issueAt(n);
              return issue ? <IssueRow issue={issue} open={q.open === keyOf(issue)} route={route} /> : <p class="quiet">…</p>;
            }}
          />
        )}
        {moreError && (
          <p class="note bad">
            Some rows could not be loaded: {moreError} <button onClick={loaded.again}>Try again</button>
          </p>
        )}
        {q.open && <OccurrencesOf issue={opened()} fingerprint={q.open} route={route} />}
      </State>
    </Fragment>
  );
}

function keyOf(i: Issue): string {
  return i.fingerprint || i.newest.id;
}

function Choice({ name, of, value, onChange }: { name: string; of?: Facet[] | null; value?: string; onChange: (v: string) => void }) {
  const list = of || [];
  return (
    <label>
      {name}
      <select value={value || ""} onChange={(e) => onChange(e.currentTarget.value)}>
        <option value="">all</option>
        {value && !list.some((f) => f.value === value) && <option value={value}>{clean(value)}</option>}
        {list.map((f) => (
          <option value={f.value}>
            {clean(f.value || "(none)")} ({count(f.count)})
          </option>
        ))}
      </select>
    </label>
  );
}

/** How many there were in equal parts of all the time. */
function Spark({ values }: { values: number[] | null }) {
  const v = values || [];
  const most = Math.max(1, ...v);
  return (
    <svg class="spark" viewBox={`0 0 ${v.length * 4} 20`} preserveAspectRatio="none" role="img" aria-label={"over time, oldest first: " + v.join(", ")}>
      {v.map((n, i) => n > 0 && <rect x={i * 4} width={3} y={20 - Math.max(3, (n / most) * 20)} height={Math.max(3, (n / most) * 20)} />)}
    </svg>
  );
}

function IssueRow({ issue, open, route }: { issue: Issue; open: boolean; route: Route }) {
  const i = issue;
  return (
    <div class={"issue" + (open ? " open" : "")}>
      <a href={href(["incident", i.newest.id, "stacks"])}>
        <span class="line">
          <span class={"cause " + i.cause}>{i.cause}</span> <b>{(i.services || []).map(clean).join(", ")}</b> <span class="quiet">{(i.versions || []).map(clean).join(", ")}</span>
          {i.pinned && <span class="badge">pinned</span>}
        </span>
        <span class="sentence" title={clean(i.sentence)}>
          {clean(i.sentence)}
        </span>
        <Badges list={i.newest.badges} />
      </a>
      <Spark values={i.spark} />
      <span class="times">
        <Time at={i.last} />
        {i.count > 1 && (
          <span class="quiet">
            first <Time at={i.first} />
          </span>
        )}
      </span>
      <button aria-expanded={open} title="All incidents of this kind" onClick={() => choose(route, { open: open ? "" : keyOf(i) })}>
        {count(i.count)}
        <span class="hidden"> incidents of this kind</span>
      </button>
    </div>
  );
}

function OccurrencesOf({ issue, fingerprint, route }: { issue?: Issue; fingerprint: string; route: Route }) {
  const known = issue?.fingerprint ?? fingerprint;
  const loaded = useLoad<Occurrences>(known ? "occurrences" : null, { fingerprint: known, service: issue?.services?.[0], limit: page });
  const box = useRef<HTMLElement>(null);
  useEffect(() => box.current?.scrollIntoView({ block: "nearest" }), [loaded.value]);
  const list = known ? loaded.value?.occurrences || [] : issue ? [issue.newest] : [];
  return (
    <section ref={box} class="occurrences" aria-label="Incidents of this kind">
      <div class="head">
        <h2>All of this kind</h2>
        <button onClick={() => choose(route, { open: "" })}>Close</button>
      </div>
      {issue && <p class="sentence">{clean(issue.sentence)}</p>}
      <State busy={!!known && loaded.busy && !loaded.value} error={loaded.error}>
        <div class="scroll" tabIndex={0} role="region" aria-label="Incidents of this kind, a table">
          <table>
            <thead>
              <tr>
                <th scope="col">Time</th>
                <th scope="col">Service</th>
                <th scope="col">Host</th>
                <th scope="col">Version</th>
                <th scope="col">Evidence</th>
                <th scope="col">Compare</th>
              </tr>
            </thead>
            <tbody>
              {list.map((o, n) => (
                <tr>
                  <th scope="row">
                    <a href={href(["incident", o.id, "stacks"])}>{when(o.time)}</a>
                  </th>
                  <td>
                    {clean(o.service)}#{o.instance}
                  </td>
                  <td>{clean(o.host)}</td>
                  <td>{clean(o.version)}</td>
                  <td>
                    <Badges list={o.badges} />
                  </td>
                  <td>{n + 1 < list.length && <a href={href(["compare", list[n + 1].id, o.id])}>with the one before</a>}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </State>
    </section>
  );
}
