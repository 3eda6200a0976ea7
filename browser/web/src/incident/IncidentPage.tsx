import { h, Fragment } from "preact";
import { useEffect } from "preact/hooks";
import { About, Card, Flame as FlameData, Incident, Timeline as TimelineData, Waits } from "../api";
import { listen } from "../client";
import { useLoad } from "../load";
import { Badges, Facts, State, Tabs } from "../parts";
import { Route, choose, chosenTime, go, href } from "../router";
import { useKeys } from "../keys";
import { bytes, clean, span, when } from "../text";
import { StacksView } from "./Stacks";
import { WorldView } from "./World";
import { OutputView } from "./Output";
import { CollectorsView } from "./Collectors";
import { ShareView } from "./Share";
import { Flame } from "../charts/Flame";
import { WaitGraph } from "../charts/WaitGraph";
import { Timeline } from "../charts/Timeline";

export const views: [string, string][] = [
  ["stacks", "Stacks"],
  ["waits", "Why blocked"],
  ["flame", "Flame graph"],
  ["timeline", "Timeline"],
  ["world", "World"],
  ["output", "Output"],
  ["collectors", "Collectors"],
  ["share", "Share"],
];

export function IncidentPage({ id, view, route, about }: { id: string; view: string; route: Route; about: About }) {
  const loaded = useLoad<Incident>("incidents/" + encodeURIComponent(id));
  const v = loaded.value;
  // A time that was chosen holds in all views that have times.
  const { from, to: until } = route.query;
  const open = (to: string) => go(href(["incident", id, to], { from, to: until }));
  useEffect(() => listen((kind, data) => kind === "incident" && (data as { id?: string }).id === id && loaded.again()), [id]);
  const keys: { [key: string]: () => void } = {
    "[": () => v?.older && go(href(["incident", v.older, view])),
    "]": () => v?.newer && go(href(["incident", v.newer, view])),
  };
  views.forEach(([to], n) => (keys[String(n + 1)] = () => open(to)));
  useKeys(keys);
  if (!v)
    return (
      <Fragment>
        <h1>Incident</h1>
        <State busy={loaded.busy} error={loaded.error} again={loaded.again} />
        {loaded.code === "gone" && <p class="quiet">It was pruned, or removed by somebody, after it was listed.</p>}
      </Fragment>
    );
  const i = v.incident;
  return (
    <Fragment>
      <div class="head">
        <h1>
          <span class={"cause " + i.cause}>{i.cause || "snapshot"}</span> {clean(i.service)} <span class="quiet">#{i.instance}</span>
        </h1>
        <span class="grow" />
        {v.same > 1 && (
          <nav class="row" aria-label="Incidents of the same fingerprint">
            <span class="quiet">{v.same} of this kind</span>
            {v.older && <a href={href(["incident", v.older, view])}>older</a>}
            {v.newer && <a href={href(["incident", v.newer, view])}>newer</a>}
            {(v.older || v.newer) && <a href={v.older ? href(["compare", v.older, i.id]) : href(["compare", i.id, v.newer!])}>compare</a>}
          </nav>
        )}
      </div>
      {loaded.error && <State busy={false} error={loaded.error} again={loaded.again} />}
      {(v.banners || []).map((b) => (
        <div class="note">{clean(b)}</div>
      ))}
      <VerdictCard card={i.card || null} incident={v} />
      <Facts
        wide
        of={[
          ["time", <time dateTime={i.time}>{when(i.time)}</time>],
          ["host", clean(i.host) || "not known"],
          ["pid", String(i.pid)],
          ["uptime", span(i.uptime_seconds)],
          ["program", clean([i.program?.runtime, i.program?.go_version, i.program?.path].filter(Boolean).join(" ")) || "not known"],
          [
            "build",
            <Fragment>
              {clean([i.program?.module, i.program?.revision?.slice(0, 12)].filter(Boolean).join(" ")) || clean(i.program?.build_id?.slice(0, 20)) || "not known"}{" "}
              {v.revision && (
                <a href={v.revision} rel="noreferrer noopener" target="_blank">
                  source
                </a>
              )}
            </Fragment>,
          ],
          ["end", i.exit ? (i.exit.signal ? "signal " + clean(i.exit.signal) : "status " + i.exit.code) : "it lived at that time"],
          ["evidence", <Badges list={v.badges} />],
          ["size", bytes(i.bytes)],
        ]}
      />
      <Tabs label="Views of this incident" list={views} chosen={view} onChoose={open} />
      <div id="panel" role="tabpanel" aria-labelledby={"tab-" + view} tabIndex={-1}>
        {view === "waits" ? (
          <WaitsView id={id} route={route} />
        ) : view === "flame" ? (
          <FlameView id={id} route={route} />
        ) : view === "timeline" ? (
          <TimelineView id={id} route={route} />
        ) : view === "world" ? (
          <WorldView id={id} incident={v} />
        ) : view === "output" ? (
          <OutputView id={id} route={route} />
        ) : view === "collectors" ? (
          <CollectorsView incident={v} />
        ) : view === "share" ? (
          <ShareView incident={v} about={about} />
        ) : (
          <StacksView id={id} incident={v} route={route} />
        )}
      </div>
    </Fragment>
  );
}

/** Where a fact stands, as a link to its view. */
function whereTo(id: string, where: string): string | null {
  const group = /^stacks\.json: group (\d+)/.exec(where);
  if (group) return href(["incident", id, "stacks"], { group: Number(group[1]) - 1 });
  if (where.startsWith("stacks.json")) return href(["incident", id, "waits"]);
  if (/^(process|world|tree|runtime)\.json/.test(where)) return href(["incident", id, "world"]);
  if (/^(timeline|samples)\.json/.test(where)) return href(["incident", id, "timeline"]);
  if (where.startsWith("output")) return href(["incident", id, "output"]);
  return null;
}

function VerdictCard({ card, incident }: { card: Card | null; incident: Incident }) {
  const i = incident.incident;
  const first = card?.sentence || i.sentence;
  // What the incident's sentence says beyond the card's.
  const rest = i.sentence === first ? "" : i.sentence.replace("; " + first, "");
  const evidence = (card?.evidence || []).map((f) => ({ ...f, said: f.text === first }));
  return (
    <section class="card" aria-label="Verdict">
      <p class="verdict">{clean(first)}</p>
      {card && (
        <p>
          <span class={"confidence " + card.confidence}>{clean(card.confidence)}</span> {clean(card.why)}
        </p>
      )}
      {rest && <p class="quiet">{clean(rest)}</p>}
      <div class="columns">
        {evidence.length > 0 && (
          <div>
            <h2>Evidence</h2>
            <ul>
              {evidence.map((f) => {
                const to = whereTo(i.id, f.where);
                return (
                  <li>
                    {f.said ? "the sentence above" : clean(f.text)} {to ? <a href={to}>{clean(f.where)}</a> : <span class="quiet">{clean(f.where)}</span>}
                  </li>
                );
              })}
            </ul>
          </div>
        )}
        {(card?.look_at?.length || 0) > 0 && (
          <div>
            <h2>Look at first</h2>
            <ul>
              {card!.look_at!.map((t) => (
                <li>{clean(t)}</li>
              ))}
            </ul>
          </div>
        )}
        {(card?.not?.length || 0) > 0 && (
          <div>
            <h2>Not found</h2>
            <ul class="quiet">
              {card!.not!.map((t) => (
                <li>{clean(t)}</li>
              ))}
            </ul>
          </div>
        )}
      </div>
    </section>
  );
}

function WaitsView({ id, route }: { id: string; route: Route }) {
  const loaded = useLoad<Waits>("incidents/" + encodeURIComponent(id) + "/waits");
  const node = route.query.node ? Number(route.query.node) : null;
  return (
    <State busy={loaded.busy && !loaded.value} error={loaded.error} again={loaded.again}>
      {loaded.value && (
        <WaitGraph
          data={loaded.value}
          selected={node}
          onSelect={(n) => {
            choose(route, { node: n.id });
            if (n.group >= 0) go(href(["incident", id, "stacks"], { group: n.group }));
          }}
        />
      )}
    </State>
  );
}

function FlameView({ id, route }: { id: string; route: Route }) {
  const idle = route.query.idle === "1";
  const loaded = useLoad<FlameData>("incidents/" + encodeURIComponent(id) + "/flame", { idle });
  return (
    <Fragment>
      <label class="check">
        <input type="checkbox" checked={idle} onChange={(e) => choose(route, { idle: e.currentTarget.checked ? "1" : "" })} /> with those that are set aside as idle
      </label>
      <State busy={loaded.busy && !loaded.value} error={loaded.error} again={loaded.again}>
        {loaded.value && (
          <Flame
            data={loaded.value}
            selected={route.query.groups ? route.query.groups.split(",").map(Number) : []}
            onSelect={(groups) => go(href(["incident", id, "stacks"], { group: groups[0], groups: groups.join(",") }))}
          />
        )}
      </State>
    </Fragment>
  );
}

function TimelineView({ id, route }: { id: string; route: Route }) {
  const loaded = useLoad<TimelineData>("incidents/" + encodeURIComponent(id) + "/timeline");
  return (
    <State busy={loaded.busy && !loaded.value} error={loaded.error} again={loaded.again}>
      {loaded.value && (
        <Timeline
          data={loaded.value}
          range={chosenTime(route)}
          onRange={(r) => choose(route, r ? { from: r[0].toFixed(3), to: r[1].toFixed(3) } : { from: "", to: "" })}
        />
      )}
    </State>
  );
}
