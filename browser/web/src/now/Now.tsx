import { h, Fragment } from "preact";
import { useEffect, useState } from "preact/hooks";
import { About, Demanded, Event, Live, Now, Result, Service, SnapshotResult } from "../api";
import { change, listen, saying } from "../client";
import { useLoad } from "../load";
import { Confirm, Empty, Facts, State, Time } from "../parts";
import { href } from "../router";
import { clean, count, span, when } from "../text";

const kept = 500; // events

interface Doing {
  verb: string;
  service: string;
}

const consequences: { [verb: string]: string } = {
  start: "It is started, with what it requires.",
  stop: "It is stopped, with what requires it, and stays down until it is started.",
  restart: "It is stopped and started again. That counts as asked for, not as a failure.",
  snapshot: "It is paused for some milliseconds while its stacks are taken, and runs on. An incident of cause \"requested\" comes of it.",
  reload: "The configuration is read again. Services that it does not change run on.",
};

export function NowPage({ about }: { about: About }) {
  const loaded = useLoad<Now>("now");
  const [events, setEvents] = useState<Event[]>([]);
  const [dropped, setDropped] = useState(0);
  const [doing, setDoing] = useState<Doing | null>(null);
  const [said, say] = useState<{ text: string; bad: boolean } | null>(null);
  useEffect(() => {
    let soon: ReturnType<typeof setTimeout> | undefined;
    const stop = listen((kind, data) => {
      const m = data as Live;
      if (kind === "event" && m.event) {
        const e = m.event;
        setEvents((list) => {
          if (list.length >= kept) setDropped((n) => n + 1);
          return [e, ...list].slice(0, kept);
        });
      }
      if (kind === "lost") setDropped((n) => n + (m.lost || 0));
      clearTimeout(soon);
      soon = setTimeout(loaded.again, 150);
    });
    const tick = setInterval(loaded.again, 2000);
    return () => {
      stop();
      clearInterval(tick);
      clearTimeout(soon);
    };
  }, []);
  const act = (d: Doing) => {
    setDoing(null);
    say({ text: d.verb + " " + d.service + " …", bad: false });
    const done: Promise<string> =
      d.verb === "reload"
        ? change<Demanded>("POST", "now/reload", {}).then((r) => "asked for, number " + r.seq + " of the ledger")
        : d.verb === "snapshot"
          ? change<SnapshotResult[]>("POST", "now/snapshot", { services: [d.service] }).then((r) => r.map((x) => x.error || "incident " + x.incident).join("; "))
          : change<Result[]>("POST", "now/ask", { verb: d.verb, services: [d.service], wait: false }).then((r) => r.map((x) => x.service + ": " + (x.error || x.state)).join("; "));
    done.then(
      (text) => {
        say({ text: d.verb + " " + d.service + ": " + clean(text), bad: false });
        loaded.again();
      },
      (e) => say({ text: "Cannot " + d.verb + " " + d.service + ": " + clean(saying(e)), bad: true }),
    );
  };
  const v = loaded.value;
  return (
    <Fragment>
      <div class="head">
        <h1>Now</h1>
        {v?.instance && (
          <span class="quiet">
            vigil {clean(v.instance.name)} {clean(v.instance.version)}, keeper {v.instance.keeper_pid}, supervisor {v.instance.supervisor_pid}, since {when(v.instance.started)}
          </span>
        )}
        <span class="grow" />
        {about.may_act && <button onClick={() => setDoing({ verb: "reload", service: "the configuration" })}>Reload</button>}
      </div>
      {said && (
        <div class={said.bad ? "note bad" : "note"} role="status">
          {said.text}
        </div>
      )}
      <State busy={loaded.busy && !v} error={loaded.error} again={loaded.again}>
        {v?.why && <div class="note">{clean(v.why)}</div>}
        {v && (
          <Fragment>
            <h2>Services</h2>
            {(v.services || []).length === 0 && <Empty>No service is known.</Empty>}
            {(v.services || []).map((s) => (
              <ServiceBox service={s} mayAct={about.may_act} onAct={(verb) => setDoing({ verb, service: s.service })} />
            ))}
            <h2>Events</h2>
            {events.length === 0 ? (
              <Empty>Nothing has happened since this page was opened.</Empty>
            ) : (
              <ol class="events" aria-label="Events, newest first" tabIndex={0}>
                {events.map((e) => (
                  <li>
                    <time dateTime={e.time}>{when(e.time)}</time> <b>{clean(e.service)}</b> <span class="badge">{clean(e.kind)}</span> {clean(e.text)}
                  </li>
                ))}
              </ol>
            )}
            {dropped > 0 && <p class="quiet">{count(dropped)} earlier events are not shown: vigil events has them.</p>}
            <h2>Signals</h2>
            {(v.signals || []).length === 0 ? (
              <Empty>vigil has received no signal.</Empty>
            ) : (
              <div class="scroll" tabIndex={0} role="region" aria-label="Ledger of signals, a table">
                <table>
                  <thead>
                    <tr>
                      <th scope="col">number</th>
                      <th scope="col">time</th>
                      <th scope="col">signal</th>
                      <th scope="col">count</th>
                      <th scope="col">sender</th>
                      <th scope="col">asks for</th>
                      <th scope="col">came of it</th>
                    </tr>
                  </thead>
                  <tbody>
                    {[...v.signals!].reverse().map((x) => (
                      <tr>
                        <th scope="row">{x.seq}</th>
                        <td>
                          <Time at={x.time} />
                        </td>
                        <td>{clean(x.signal)}</td>
                        <td>{x.count}</td>
                        <td>{clean(Object.values(x.sender || {}).filter((y) => typeof y !== "object").join(" "))}</td>
                        <td>
                          {clean(x.demand)} {clean(x.target)}
                        </td>
                        <td>{clean(x.outcome) || "under way"}</td>
                      </tr>
                    ))}
                  </tbody>
                </table>
              </div>
            )}
          </Fragment>
        )}
      </State>
      {doing && (
        <Confirm title={doing.verb[0].toUpperCase() + doing.verb.slice(1) + " " + doing.service + "?"} yes={doing.verb[0].toUpperCase() + doing.verb.slice(1)} onYes={() => act(doing)} onNo={() => setDoing(null)}>
          <p>{consequences[doing.verb]}</p>
        </Confirm>
      )}
    </Fragment>
  );
}

function ServiceBox({ service, mayAct, onAct }: { service: Service; mayAct: boolean; onAct: (verb: string) => void }) {
  const s = service;
  return (
    <section class="service" aria-label={clean(s.service)}>
      <div class="row">
        <h3>{clean(s.service)}</h3>
        <span class={"statename " + s.state}>{s.state}</span>
        <span class="quiet">
          since <Time at={s.since} />
          {s.ready ? ", ready" : ""}
        </span>
        <span class="grow" />
        {mayAct &&
          ["start", "stop", "restart", "snapshot"].map((verb) => (
            <button onClick={() => onAct(verb)} disabled={verb === "start" ? s.desired === "up" : verb === "snapshot" ? !s.pid : false}>
              {verb}
              <span class="hidden"> {clean(s.service)}</span>
            </button>
          ))}
      </div>
      <Facts
        wide
        of={[
          ["pid", s.pid ? String(s.pid) : "none"],
          ["instance", "#" + s.instance],
          ["uptime", s.pid ? span(s.uptime_seconds) : ""],
          ["restarts", String(s.restarts)],
          ["incident", s.incident ? <a href={href(["incident", s.incident, "stacks"])}>{clean(s.incident)}</a> : "none"],
          ["says", clean(s.status) || "nothing"],
        ]}
      />
      {s.cause && (
        <p>
          <span class="quiet">last end</span> {clean(s.sentence || s.cause)}
        </p>
      )}
      {(s.signs || []).length > 0 && (
        <ul class="signs" aria-label="Signs of life">
          {s.signs!.map((x) => (
            <li class={x.state}>
              <span class="name">
                {clean(x.kind)} {clean(x.name)}
              </span>
              {x.limit_seconds > 0 ? <meter min={0} max={x.limit_seconds} high={x.limit_seconds * 0.6} optimum={0} value={Math.min(x.age_seconds, x.limit_seconds)} aria-label={"age of " + clean(x.name)} /> : <span />}
              <span>
                {x.state} {span(x.age_seconds)}
                {x.limit_seconds > 0 && " of " + span(x.limit_seconds)}
                {x.text && ": " + clean(x.text)}
              </span>
            </li>
          ))}
        </ul>
      )}
      {(s.signs_more || 0) > 0 && <p class="quiet">{s.signs_more} more signs</p>}
    </section>
  );
}
