import { h, Fragment } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { DetailFrame, Frame, Group, GroupDetail, Incident, SourceText, Stacks, Variable } from "../api";
import { change, get, offline, saying } from "../client";
import { useLoad } from "../load";
import { Empty, State } from "../parts";
import { Route, choose } from "../router";
import { step, useKeys } from "../keys";
import { clean, count, place, plural, span } from "../text";

const words: { [by: string]: string } = {
  stack: "whole stack",
  top: "own code, innermost",
  creator: "who created it",
  label: "label",
  name: "thread name",
  state: "state",
};

const heaps: [string, string][] = [
  ["suspicious", "Suspicious"],
  ["look", "To look at"],
  ["normal", "Normal"],
];

const page = offline ? 1000 : 200;

export function StacksView({ id, incident, route }: { id: string; incident: Incident; route: Route }) {
  const q = route.query;
  const by = q.by || "stack";
  const idle = q.idle === "1";
  const [text, setText] = useState(q.q || "");
  const [limit, setLimit] = useState(page);
  const path = "incidents/" + encodeURIComponent(id);
  const loaded = useLoad<Stacks>(path + "/stacks", offline ? { by, idle, limit: 1000 } : { by, idle, limit, q: q.q });
  // Where the reader has put groups: it holds for this visit; "normal for the service" is kept by the server.
  const [moved, setMoved] = useState<{ [key: string]: string }>({});
  const [failed, setFailed] = useState("");
  const search = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (text === (q.q || "")) return;
    const t = setTimeout(() => choose(route, { q: text }), 250);
    return () => clearTimeout(t);
  }, [text]);
  useKeys({
    j: () => step(".group > summary", 1),
    k: () => step(".group > summary", -1),
    "/": () => search.current?.focus(),
  });
  const v = loaded.value;
  let groups = v?.groups || [];
  if (offline && q.q) groups = groups.filter((g) => JSON.stringify([g.label, g.frames, g.status, g.wait_reason, g.labels, g.members]).toLowerCase().includes(q.q.toLowerCase()));
  const heapOf = (g: Group) => moved[g.key] || g.heap;
  const mark = (g: Group, normal: boolean) => {
    setFailed("");
    setMoved((m) => ({ ...m, [g.key]: normal ? "normal" : "look" }));
    if (!offline)
      change("PUT", "services/" + encodeURIComponent(incident.incident.service) + "/normal", { key: g.key, normal }).catch((e) => setFailed("It is not remembered: " + saying(e)));
  };
  const wanted = new Set((q.groups || q.group || "").split(",").filter(Boolean).map(Number));
  const shown = heaps.map(([heap, name]) => ({ heap, name, groups: groups.filter((g) => heapOf(g) === heap) }));
  return (
    <Fragment>
      <search class="filters">
        <label>
          Search
          <input ref={search} type="search" value={text} placeholder="function, file, label, state" onInput={(e) => setText(e.currentTarget.value)} onKeyDown={(e) => e.key === "Escape" && e.currentTarget.blur()} />
        </label>
        <label>
          Group by
          <select value={by} onChange={(e) => choose(route, { by: e.currentTarget.value, group: "", groups: "" })}>
            {(v?.groupings || ["stack"]).map((g) => (
              <option value={g}>{words[g] || g}</option>
            ))}
          </select>
        </label>
        <label class="check">
          <input type="checkbox" checked={idle} onChange={(e) => choose(route, { idle: e.currentTarget.checked ? "1" : "" })} /> with idle ones{v ? ` (${count(v.idle)})` : ""}
        </label>
      </search>
      <State busy={loaded.busy && !v} error={loaded.error} again={loaded.again}>
        {v && (
          <Fragment>
            <p class="quiet" role="status">
              {plural(v.total, v.noun)} in {plural(v.count, "group")}
              {q.q ? `, ${count(v.matching)} match` : ""}
              {v.optimised ? "; the build is optimised, so values of variables can be stale" : ""}
              {loaded.busy ? " …" : ""}
            </p>
            {v.crash && (
              <div class="note bad">
                {clean(v.crash.kind)}: {clean(v.crash.message || v.crash.signal)} {v.crash.frame && "in " + place(v.crash.frame)}
              </div>
            )}
            {(v.notes || []).map((n) => (
              <div class="note">{clean(n)}</div>
            ))}
            {failed && (
              <div class="note bad" role="alert">
                {failed}
              </div>
            )}
            {v.total === 0 && <Empty>There are no stacks. Collectors says what was tried, and why it gave none.</Empty>}
            {shown.map(({ heap, name, groups }) => (
              <section class={"heap " + heap} aria-label={name}>
                <h2>
                  {name}{" "}
                  <span class="quiet">
                    {plural(groups.length, "group")}, {plural(groups.reduce((n, g) => n + g.count, 0), v.noun)}
                  </span>
                </h2>
                {groups.length === 0 && <Empty>{heap === "suspicious" ? "Nothing is part of a deadlock or a crash, or named by the verdict." : "None."}</Empty>}
                {groups.map((g) => (
                  <GroupBox
                    key={g.key + g.index + g.label}
                    path={path}
                    group={g}
                    noun={v.noun}
                    heap={heap}
                    open={wanted.has(g.index) || (g.indices || []).some((n) => wanted.has(n)) || (wanted.size === 0 && heap === "suspicious" && groups.length <= 4)}
                    route={route}
                    onMove={(to) => (to === "normal" || heap === "normal" ? mark(g, to === "normal") : setMoved((m) => ({ ...m, [g.key]: to })))}
                  />
                ))}
              </section>
            ))}
            {v.count > (v.groups || []).length && (
              <p>
                <button onClick={() => setLimit((n) => Math.min(1000, n * 2))} disabled={limit >= 1000}>
                  Show more
                </button>{" "}
                {count(v.count - (v.groups || []).length)} groups are not shown{limit >= 1000 ? ": search, or group by something else" : ""}
              </p>
            )}
          </Fragment>
        )}
      </State>
    </Fragment>
  );
}

function GroupBox({ path, group, noun, heap, open, route, onMove }: { path: string; group: Group; noun: string; heap: string; open: boolean; route: Route; onMove: (to: string) => void }) {
  const g = group;
  const [is, set] = useState(open);
  useEffect(() => set(open), [open]);
  const box = useRef<HTMLDetailsElement>(null);
  useEffect(() => {
    if (open && route.query.group) box.current?.scrollIntoView({ block: "nearest" });
  }, [open]);
  return (
    <details
      class="group"
      open={is}
      ref={box}
      onToggle={(e) => {
        const now = e.currentTarget.open;
        set(now);
        if (now !== open) choose(route, { group: now ? g.index : "", groups: "" });
      }}
    >
      <summary>
        <b class="count">{count(g.count)}</b>
        <span class="label">{clean(g.label)}</span>
        <span class="state">
          {clean(g.status)}
          {g.wait_reason ? ": " + clean(g.wait_reason) : ""}
          {g.wait_max_seconds > 0 && " for " + (g.wait_min_seconds > 0 && g.wait_min_seconds < g.wait_max_seconds ? span(g.wait_min_seconds) + " to " : "") + span(g.wait_max_seconds)}
        </span>
        {(g.reasons || []).map((r) => (
          <span class="reason">{clean(r)}</span>
        ))}
      </summary>
      {is && <GroupBody path={path} group={g} noun={noun} heap={heap} onMove={onMove} />}
    </details>
  );
}

function GroupBody({ path, group, noun, heap, onMove }: { path: string; group: Group; noun: string; heap: string; onMove: (to: string) => void }) {
  const g = group;
  const [detail, setDetail] = useState(false);
  return (
    <div class="body">
      <div class="row">
        {heaps
          .filter(([to]) => to !== heap)
          .map(([to, name]) => (
            <button onClick={() => onMove(to)}>{to === "normal" ? "Normal for this service" : heap === "normal" ? "Not normal: " + name.toLowerCase() : name}</button>
          ))}
        <button aria-expanded={detail} onClick={() => setDetail(!detail)}>
          {g.variables ? "Variables and members" : "Members"}
        </button>
        {g.created_by && <span class="quiet">created by {place(g.created_by)}</span>}
        {g.start && <span class="quiet">started as {place(g.start)}</span>}
        {(g.labels || []).map((l) => (
          <span class="badge">{clean(l)}</span>
        ))}
      </div>
      {!detail && <Frames frames={g.frames || []} path={path} index={g.index} />}
      {!detail && g.cut && <p class="quiet">More frames are not shown here.</p>}
      {detail && <Detail path={path} index={g.index} noun={noun} />}
      {(g.indices || []).length > 1 && <p class="quiet">{plural(g.indices!.length, "different stack")} stand behind this; the most frequent is shown.</p>}
    </div>
  );
}

/** Frames with those of the runtime folded. */
function Frames({ frames, path, index }: { frames: Frame[]; path: string; index: number }) {
  const [all, setAll] = useState(!frames.some((f) => f.own));
  const runs: { own: boolean; from: number; to: number }[] = [];
  frames.forEach((f, n) => {
    const last = runs[runs.length - 1];
    if (last && last.own === f.own) last.to = n + 1;
    else runs.push({ own: f.own, from: n, to: n + 1 });
  });
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Stack, innermost frame first">
      <ol class="frames">
        {runs.map((r) =>
          r.own || all || r.to - r.from === 1 ? (
            frames.slice(r.from, r.to).map((f, n) => <FrameLine frame={f} path={path} index={index} n={r.from + n} />)
          ) : (
            <li class="fold">
              <button onClick={() => setAll(true)}>
                {plural(r.to - r.from, "frame")} of libraries: {clean(frames[r.from].function)} …
              </button>
            </li>
          ),
        )}
      </ol>
    </div>
  );
}

function FrameLine({ frame, path, index, n, children }: { frame: Frame; path: string; index: number; n: number; children?: h.JSX.Element | null }) {
  const f = frame;
  const [source, setSource] = useState<SourceText | null>(null);
  const [error, setError] = useState("");
  const show = () => {
    if (source || error) {
      setSource(null);
      setError("");
      return;
    }
    get<SourceText>(path + "/groups/" + index + "/source", { frame: n }).then(setSource, (e) => setError(saying(e)));
  };
  return (
    <li class={f.own ? "own" : "library"}>
      <code>{clean(f.function)}</code>
      {f.inlined && <span class="quiet"> inlined</span>}
      {f.file && (
        <span class="at">
          {offline ? (
            <span>
              {clean(f.file)}:{f.line}
            </span>
          ) : (
            <button class="plain" aria-expanded={!!source} onClick={show} title="Show the source">
              {clean(f.file)}:{f.line}
            </button>
          )}
          {f.link && (
            <a href={f.link} target="_blank" rel="noreferrer noopener">
              source at this revision
            </a>
          )}
        </span>
      )}
      {children}
      {error && <div class="note bad">{error}</div>}
      {source?.why && <div class="note">{clean(source.why)}</div>}
      {source?.stale && <div class="note">{clean(source.stale)}</div>}
      {(source?.lines?.length || 0) > 0 && (
        <pre class="source" tabIndex={0}>
          {source!.lines!.map((l) => (
            <span class={l.number === source!.line ? "here" : ""}>
              <i>{String(l.number).padStart(5)}</i> {clean(l.text)}
              {"\n"}
            </span>
          ))}
        </pre>
      )}
    </li>
  );
}

function Detail({ path, index, noun }: { path: string; index: number; noun: string }) {
  const loaded = useLoad<GroupDetail>(path + "/groups/" + index);
  const v = loaded.value;
  return (
    <State busy={loaded.busy && !v} error={loaded.error} again={loaded.again}>
      {v && (
        <Fragment>
          <p class="quiet">
            Variables of {noun} {v.sample}
            {v.optimised && <b> — the build is optimised: a variable that is not used any more can have a stale value</b>}
          </p>
          <div class="scroll" tabIndex={0} role="region" aria-label="Stack with variables">
            <ol class="frames">
              {(v.detailed || []).map((f, n) => (
                <FrameLine frame={f} path={path} index={index} n={n}>
                  <Variables frame={f} />
                </FrameLine>
              ))}
            </ol>
          </div>
          {(v.waits || []).length > 0 && (
            <Fragment>
              <h3>Waits</h3>
              <ul>
                {v.waits!.map((w) => (
                  <li>
                    {w.from} waits for {w.to || "somebody unknown"}: {clean(w.kind)} {clean(w.name || w.address)} <span class="quiet">{w.certain ? "certain" : "inferred"}</span>
                  </li>
                ))}
              </ul>
            </Fragment>
          )}
          {v.thread && (
            <p>
              In the kernel: thread {v.thread.tid} <code>{clean(v.thread.comm)}</code>, state {clean(v.thread.state)} {clean(v.thread.wchan)} {clean(v.thread.syscall)}
            </p>
          )}
          <h3>Members</h3>
          <p class="members">
            {(v.everyone || []).map((m) => (
              <span>
                {m.id}
                {m.name ? " " + clean(m.name) : ""}
                {m.waiting_seconds ? " " + span(m.waiting_seconds) : ""}
              </span>
            ))}
            {v.count > (v.everyone || []).length && <span class="quiet">and {count(v.count - (v.everyone || []).length)} more</span>}
          </p>
        </Fragment>
      )}
    </State>
  );
}

function Variables({ frame }: { frame: DetailFrame }) {
  const list: [string, Variable][] = [...(frame.arguments || []).map((v) => ["argument", v] as [string, Variable]), ...(frame.locals || []).map((v) => ["local", v] as [string, Variable])];
  if (!list.length) return null;
  return (
    <table class="variables">
      <tbody>
        {list.map(([kind, v]) => (
          <tr>
            <th scope="row" title={kind}>
              {clean(v.name)}
            </th>
            <td class="quiet">{clean(v.type)}</td>
            <td>{v.masked ? <em>masked: it looks secret</em> : v.unreadable ? <em>{clean(v.unreadable)}</em> : <code>{clean(v.value)}</code>}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
