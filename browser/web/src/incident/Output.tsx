import { h, Fragment } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Output } from "../api";
import { offline } from "../client";
import { useLoad } from "../load";
import { Empty, State } from "../parts";
import { Route, choose, chosenTime } from "../router";
import { useKeys } from "../keys";
import { offset as moment } from "../charts/Timeline";
import { clean, count } from "../text";

const page = 1000;

export function OutputView({ id, route }: { id: string; route: Route }) {
  const q = route.query;
  const [text, setText] = useState(q.q || "");
  const [offset, setOffset] = useState<number | null>(null);
  const search = useRef<HTMLInputElement>(null);
  const path = "incidents/" + encodeURIComponent(id) + "/output";
  const time = chosenTime(route);
  const loaded = useLoad<Output>(path, offline ? {} : { q: q.q, offset: offset || undefined, from: time?.[0], to: time?.[1] });
  useEffect(() => {
    if (text === (q.q || "")) return;
    const t = setTimeout(() => {
      setOffset(null);
      choose(route, { q: text });
    }, 250);
    return () => clearTimeout(t);
  }, [text]);
  useKeys({ "/": () => search.current?.focus() });
  const v = loaded.value;
  // The end is what matters: begin with the last page.
  useEffect(() => {
    if (v && offset === null && v.total > page && !offline) setOffset(Math.floor((v.total - 1) / page) * page);
  }, [v]);
  let lines = v?.lines || [];
  if (offline && q.q) lines = lines.filter((l) => l.text.toLowerCase().includes(q.q.toLowerCase()));
  if (offline && time) lines = lines.filter((l) => l.at !== undefined && l.at >= time[0] && l.at <= time[1]);
  const at = offset || 0;
  return (
    <Fragment>
      <search class="filters">
        <label>
          Search
          <input ref={search} type="search" value={text} onInput={(e) => setText(e.currentTarget.value)} onKeyDown={(e) => e.key === "Escape" && e.currentTarget.blur()} />
        </label>
        <p class="quiet" role="status">
          {v && (q.q || time ? `${count(offline ? lines.length : v.total)} of ${count(v.all)} lines` : `${count(v.all)} lines`)}
        </p>
        {time && (
          <span class="row">
            <span>
              {moment(time[0])} to {moment(time[1])}, chosen on the timeline
            </span>
            <button
              onClick={() => {
                setOffset(null);
                choose(route, { from: "", to: "" });
              }}
            >
              Whole time
            </button>
          </span>
        )}
        {v && v.total > page && (
          <span class="row">
            <button disabled={at === 0} onClick={() => setOffset(Math.max(0, at - page))}>
              Earlier
            </button>
            <button disabled={at + page >= v.total} onClick={() => setOffset(at + page)}>
              Later
            </button>
          </span>
        )}
      </search>
      {(v?.problems || []).map((p) => (
        <div class="note">{clean(p)}</div>
      ))}
      <State busy={loaded.busy && !v} error={loaded.error} again={loaded.again}>
        {lines.length === 0 ? (
          <Empty>{q.q ? "No line has this text." : time ? "No line was written in this time." : "This instance wrote nothing, or its output was left out."}</Empty>
        ) : (
          <pre class="output" tabIndex={0} aria-label="Last output, oldest line first">
            {lines.map((l) => (
              <div id={"L" + l.number} class={q.line === String(l.number) ? "here" : ""}>
                <button class="plain" title="Link to this line" onClick={() => choose(route, { line: l.number })}>
                  {l.number}
                </button>
                <span>{clean(l.text)}</span>
              </div>
            ))}
          </pre>
        )}
      </State>
    </Fragment>
  );
}
