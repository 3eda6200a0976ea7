import { h, Fragment } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import { Series, Span, Timeline as Data } from "../api";
import { bytes, clean, count, plural, span } from "../text";

type Range = [number, number];

const axisLeft = 70;

/** A time on the axis, from the verdict. */
export function offset(s: number): string {
  return (s > 0 ? "+" : s < 0 ? "−" : "") + span(Math.abs(s));
}

function value(series: Series, v: number | null | undefined): string {
  if (v === null || v === undefined) return "not measured";
  if (series.unit === "bytes") return bytes(v);
  if (series.name === "output bytes") return bytes(v) + " a second";
  if (series.unit === "share") return (100 * v).toFixed(v < 0.1 ? 1 : 0) + " %";
  if (series.unit === "cores") return v.toFixed(2) + " cores";
  if (series.unit === "seconds") return span(v);
  return (Number.isInteger(v) ? count(v) : v.toFixed(1)) + (series.unit ? " " + series.unit : "");
}

function axisValue(series: Series, v: number): string {
  if (series.unit === "bytes" || series.name === "output bytes") return bytes(v);
  return series.unit === "share" ? Math.round(100 * v) + " %" : String(v);
}

function color(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim() || "gray";
}

export function Timeline({ data, range, onRange }: { data: Data; range: Range | null; onRange: (r: Range | null) => void }) {
  const whole: Range = useMemo(() => {
    const room = Math.max(0.1, (data.to - data.from) * 0.02);
    return [data.from - room, data.to + room];
  }, [data]);
  const shown = range && range[1] > range[0] ? range : whole;
  const [kind, setKind] = useState("");
  const [text, setText] = useState("");
  const series = (data.series || []).filter((s) => (s.values || []).some((v) => v !== null));
  const kinds = [...new Set((data.moments || []).map((m) => m.kind))].sort();
  const want = text.toLowerCase();
  const moments = (data.moments || []).filter((m) => m.at >= shown[0] && m.at <= shown[1] && (!kind || m.kind === kind) && (!want || m.text.toLowerCase().includes(want)));
  const lanes: [string, Span[], number[]][] = [
    ["state", (data.spans || []).filter((s) => s.kind === "state"), []],
    ["probes", (data.spans || []).filter((s) => s.kind === "probe"), []],
    ...(data.activities || []).map((a) => [a.name, a.gaps || [], a.beats || []] as [string, Span[], number[]]),
    ["no samples", (data.spans || []).filter((s) => s.kind === "gap"), []],
  ];
  return (
    <div class="timeline">
      {(data.problems || []).map((p) => (
        <div class="note">{clean(p)}</div>
      ))}
      <div class="row">
        <span role="status">
          {offset(shown[0])} to {offset(shown[1])}, 0 is the verdict
        </span>
        <RangeInput shown={shown} onRange={onRange} />
        {range && <button onClick={() => onRange(null)}>Whole time</button>}
        <span class="quiet">drag over a chart to choose a time</span>
      </div>
      <div class="lanes">
        {lanes
          .filter(([, spans, beats]) => spans.length + beats.length > 0)
          .map(([name, spans, beats]) => (
            <Lane name={name} spans={spans} beats={beats} shown={shown} />
          ))}
        <Marks data={data} shown={shown} />
      </div>
      {series.map((s) => (
        <Chart key={s.name} series={s} at={data.at || []} shown={shown} onRange={onRange} />
      ))}
      {series.length > 0 && (
        <details class="fold-box">
          <summary>
            <h2>The same in figures</h2>
          </summary>
          <Figures series={series} at={data.at || []} shown={shown} />
        </details>
      )}
      <h2>Events</h2>
      <search class="filters">
        <label>
          Kind
          <select value={kind} onChange={(e) => setKind(e.currentTarget.value)}>
            <option value="">all</option>
            {kinds.map((k) => (
              <option value={k}>{clean(k)}</option>
            ))}
          </select>
        </label>
        <label>
          Text
          <input type="search" value={text} onInput={(e) => setText(e.currentTarget.value)} />
        </label>
        <p class="quiet" role="status">
          {plural(moments.length, "event")} of {count((data.moments || []).length)}
        </p>
      </search>
      <ol class="events" tabIndex={0} aria-label="Events, oldest first">
        {moments.slice(-2000).map((m) => (
          <li class={m.kind === "verdict" ? "verdict" : ""}>
            <span class="when">{offset(m.at)}</span> <span class="badge">{clean(m.kind)}</span> {clean(m.text)}
          </li>
        ))}
      </ol>
      {moments.length > 2000 && <p class="quiet">The last 2,000 are shown.</p>}
    </div>
  );
}

/** The range for those who do not drag. */
function RangeInput({ shown, onRange }: { shown: Range; onRange: (r: Range) => void }) {
  const change = (n: 0 | 1, text: string) => {
    const v = Number(text);
    if (text === "" || !isFinite(v)) return;
    const next: Range = [...shown];
    next[n] = v;
    if (next[1] > next[0]) onRange(next);
  };
  return (
    <span class="row">
      <label>
        from <input type="number" step="any" value={shown[0].toFixed(2)} onChange={(e) => change(0, e.currentTarget.value)} />
      </label>
      <label>
        to <input type="number" step="any" value={shown[1].toFixed(2)} onChange={(e) => change(1, e.currentTarget.value)} />
      </label>
    </span>
  );
}

function share(at: number, shown: Range): number {
  return Math.min(100, Math.max(0, (100 * (at - shown[0])) / (shown[1] - shown[0])));
}

function Lane({ name, spans, beats, shown }: { name: string; spans: Span[]; beats: number[]; shown: Range }) {
  const inSight = spans.filter((s) => s.to >= shown[0] && s.from <= shown[1]);
  const ticks = beats.filter((b) => b >= shown[0] && b <= shown[1]);
  const step = Math.ceil(ticks.length / 1000) || 1;
  return (
    <div class="lane">
      <span class="name">{clean(name)}</span>
      <div class="track" role="img" aria-label={clean(name) + ": " + (inSight.map((s) => `${offset(s.from)} to ${offset(s.to)} ${clean(s.text)}`).join("; ") || plural(ticks.length, "beat"))}>
        {inSight.map((s) => (
          <span
            class={"span " + s.kind + " " + clean(s.text).split(/[^a-z]/)[0]}
            title={`${offset(s.from)} to ${offset(s.to)}: ${clean(s.text)}`}
            style={{ left: share(s.from, shown) + "%", width: Math.max(0.2, share(s.to, shown) - share(s.from, shown)) + "%" }}
          >
            {clean(s.text).split(":")[0]}
          </span>
        ))}
        {ticks
          .filter((_, n) => n % step === 0)
          .map((b) => (
            <i class="beat" style={{ left: share(b, shown) + "%" }} />
          ))}
        {shown[0] <= 0 && shown[1] >= 0 && <i class="zero" style={{ left: share(0, shown) + "%" }} />}
      </div>
    </div>
  );
}

/** What happened, as marks on the axis. */
function Marks({ data, shown }: { data: Data; shown: Range }) {
  const marks = (data.moments || []).filter((m) => m.kind !== "state" && m.kind !== "beat" && m.kind !== "status" && m.at >= shown[0] && m.at <= shown[1]).slice(-500);
  return (
    <div class="lane">
      <span class="name">events</span>
      <div class="track" role="img" aria-label={plural(marks.length, "event") + "; the list below has them"}>
        {marks.map((m) => (
          <i class={"mark " + m.kind} title={offset(m.at) + " " + clean(m.kind) + ": " + clean(m.text)} style={{ left: share(m.at, shown) + "%" }} />
        ))}
      </div>
    </div>
  );
}

/** One series; all share the axis and the cursor. */
function Chart({ series, at, shown, onRange }: { series: Series; at: number[]; shown: Range; onRange: (r: Range) => void }) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef(onRange);
  latest.current = onRange;
  const [over, setOver] = useState<number | null>(null);
  useEffect(() => {
    const el = box.current;
    if (!el) return;
    const make = () => {
      plot.current?.destroy();
      plot.current = new uPlot(
        {
          width: Math.max(200, el.clientWidth),
          height: 110,
          padding: [8, 0, 0, 0], // so that an instant is at the same place as in the lanes
          legend: { show: false },
          cursor: { sync: { key: "timeline" }, drag: { x: true, y: false, setScale: false } },
          scales: { x: { time: false, range: () => shownNow.current }, y: { range: (_u, low, high) => [Math.min(0, low ?? 0), high === null || high <= 0 ? 1 : high * 1.1] } },
          axes: [
            { stroke: color("--quiet"), grid: { stroke: color("--line"), width: 1 }, values: (_u, v) => v.map((x) => offset(x)), size: 26, font: "11px system-ui" },
            { stroke: color("--quiet"), grid: { stroke: color("--line"), width: 1 }, values: (_u, v) => v.map((x) => (axisValue(series, x))), size: axisLeft, font: "11px system-ui" },
          ],
          series: [{}, { stroke: color("--accent"), fill: color("--accent-soft"), width: 1.5, spanGaps: true, points: { show: at.length < 60 } }],
          hooks: {
            setSelect: [
              (u) => {
                if (u.select.width > 3) latest.current([u.posToVal(u.select.left, "x"), u.posToVal(u.select.left + u.select.width, "x")]);
                u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
              },
            ],
            setCursor: [(u) => setOver(u.cursor.idx ?? null)],
            draw: [
              (u) => {
                const x = u.valToPos(0, "x", true);
                if (x < u.bbox.left || x > u.bbox.left + u.bbox.width) return;
                u.ctx.save();
                u.ctx.strokeStyle = color("--bad");
                u.ctx.setLineDash([4, 3]);
                u.ctx.beginPath();
                u.ctx.moveTo(x, u.bbox.top);
                u.ctx.lineTo(x, u.bbox.top + u.bbox.height);
                u.ctx.stroke();
                u.ctx.restore();
              },
            ],
          },
        },
        [at, series.values as (number | null)[]],
        el,
      );
    };
    make();
    const size = new ResizeObserver(() => plot.current?.setSize({ width: Math.max(200, el.clientWidth), height: 110 }));
    size.observe(el);
    const dark = matchMedia("(prefers-color-scheme: dark)");
    dark.addEventListener("change", make);
    addEventListener("vigil-theme", make);
    return () => {
      size.disconnect();
      dark.removeEventListener("change", make);
      removeEventListener("vigil-theme", make);
      plot.current?.destroy();
      plot.current = null;
    };
  }, [series, at]);
  const shownNow = useRef(shown);
  shownNow.current = shown;
  useEffect(() => plot.current?.setScale("x", { min: shown[0], max: shown[1] }), [shown[0], shown[1]]);
  const values = series.values || [];
  const known = values.filter((v): v is number => v !== null);
  return (
    <figure class="chart">
      <figcaption>
        {clean(series.name)}{" "}
        <span class="quiet">
          {over !== null && over < at.length ? offset(at[over]) + ": " + value(series, values[over]) : "last " + value(series, known[known.length - 1])}
          {known.length < values.length && "; gaps were not measured"}
        </span>
      </figcaption>
      <div ref={box} role="img" aria-label={`${clean(series.name)}: least ${value(series, Math.min(...known))}, most ${value(series, Math.max(...known))}, last ${value(series, known[known.length - 1])}`} />
    </figure>
  );
}

function Figures({ series, at, shown }: { series: Series[]; at: number[]; shown: Range }) {
  return (
    <table>
      <thead>
        <tr>
          <th scope="col">series</th>
          <th scope="col">least</th>
          <th scope="col">most</th>
          <th scope="col">last</th>
          <th scope="col">measured</th>
        </tr>
      </thead>
      <tbody>
        {series.map((s) => {
          const known = (s.values || []).filter((v, n): v is number => v !== null && at[n] >= shown[0] && at[n] <= shown[1]);
          return (
            <tr>
              <th scope="row">{clean(s.name)}</th>
              <td>{known.length ? value(s, Math.min(...known)) : ""}</td>
              <td>{known.length ? value(s, Math.max(...known)) : ""}</td>
              <td>{known.length ? value(s, known[known.length - 1]) : ""}</td>
              <td>{plural(known.length, "time")}</td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}
