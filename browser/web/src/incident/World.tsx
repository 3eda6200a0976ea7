import { h, Fragment, ComponentChildren } from "preact";
import { Incident, ProcessView, RuntimeReport, Thread, ThreadDelta, Tree, World } from "../api";
import { useLoad } from "../load";
import { Empty, Facts, State } from "../parts";
import { bytes, clean, plural, span } from "../text";

function Lines({ list, label }: { list?: string[] | null; label: string }) {
  if (!list?.length) return null;
  return (
    <pre class="lines" tabIndex={0} aria-label={label}>
      {list.map((l) => clean(l) + "\n")}
    </pre>
  );
}

function Fold({ name, children, open }: { name: string; children: ComponentChildren; open?: boolean }) {
  return (
    <details class="fold-box" open={open}>
      <summary>
        <h2>{name}</h2>
      </summary>
      {children}
    </details>
  );
}

export function WorldView({ id, incident }: { id: string; incident: Incident }) {
  const path = "incidents/" + encodeURIComponent(id);
  const has = (name: string) => (incident.badges || []).some((b) => b.name === name && b.state !== "missing" && b.state !== "removed");
  const lacks = (incident.badges || []).filter((b) => (b.name === "world" || b.name === "process") && !has(b.name));
  const world = useLoad<World>(has("world") ? path + "/world" : null);
  const process = useLoad<ProcessView>(has("process") ? path + "/process" : null);
  const tree = useLoad<Tree>(has("tree") ? path + "/tree" : null);
  const runtime = useLoad<RuntimeReport>(has("runtime") ? path + "/runtime" : null);
  const w = world.value;
  const p = process.value;
  return (
    <Fragment>
      {lacks.map((b) => (
        <div class="note">
          There is no evidence of the {b.name}{b.why ? ": " + clean(b.why) : ": it had ended before anybody could look"}.
        </div>
      ))}
      <State busy={world.busy && !w && has("world")} error={world.error}>
        {w && (
          <Fragment>
            <h2>Findings</h2>
            {(w.findings || []).length === 0 ? (
              <Empty>Nothing in its network, cgroup or pressure stands out.</Empty>
            ) : (
              <ul class="findings">
                {w.findings!.map((f) => (
                  <li>{clean(f)}</li>
                ))}
              </ul>
            )}
            <Fold name={`Network: ${plural((w.sockets || []).length, "socket")}`} open={(w.sockets || []).length > 0}>
              <p class="quiet">
                {Object.entries(w.states || {})
                  .map(([s, n]) => n + " " + clean(s))
                  .join(", ")}
              </p>
              {(w.sockets || []).length > 0 && (
                <div class="scroll" tabIndex={0} role="region" aria-label="Sockets, a table">
                  <table>
                    <thead>
                      <tr>
                        <th scope="col">fd</th>
                        <th scope="col">local</th>
                        <th scope="col">remote</th>
                        <th scope="col">state</th>
                        <th scope="col">to read</th>
                        <th scope="col">to send</th>
                        <th scope="col">retransmits</th>
                        <th scope="col">RTT</th>
                        <th scope="col">heard</th>
                      </tr>
                    </thead>
                    <tbody>
                      {w.sockets!.slice(0, 500).map((s) => (
                        <tr class={s.retransmits > 0 || s.state === "SYN_SENT" ? "bad" : ""}>
                          <th scope="row">{s.fd}</th>
                          <td>{clean(s.local)}</td>
                          <td>{clean(s.remote)}</td>
                          <td>{clean(s.state)}</td>
                          <td>{s.receive_queue}</td>
                          <td>{s.send_queue}</td>
                          <td>
                            {s.retransmits} of {s.total_retransmits}
                          </td>
                          <td>{s.rtt_seconds ? span(s.rtt_seconds) : ""}</td>
                          <td>{s.last_heard_seconds ? span(s.last_heard_seconds) + " ago" : ""}</td>
                        </tr>
                      ))}
                    </tbody>
                  </table>
                </div>
              )}
              {(w.sockets || []).length > 500 && <p class="quiet">The first 500 are shown.</p>}
              {(w.peers || []).length > 0 && (
                <Fragment>
                  <h3>Those it talks to</h3>
                  <ul>
                    {w.peers!.map((x) => (
                      <li>
                        {clean(x.address)} by {clean(x.device) || "?"} {x.gateway ? "over " + clean(x.gateway) : ""}{" "}
                        {x.neighbour && (
                          <span class="quiet">
                            neighbour {clean(x.neighbour.address)} {clean(x.neighbour.state)}, confirmed {span(x.neighbour.confirmed_seconds)} ago
                          </span>
                        )}
                      </li>
                    ))}
                  </ul>
                </Fragment>
              )}
              {w.counters && <Facts of={Object.entries(w.counters).map(([k, v]) => [k.replace(/_/g, " "), String(v)])} />}
              {w.counters && <p class="quiet">Counters since {clean(w.since) || "boot"}.</p>}
            </Fold>
            {w.cgroup && (
              <Fold name="Cgroup" open>
                <Facts
                  of={[
                    ["path", clean(w.cgroup.path)],
                    ["memory", bytes(w.cgroup.memory_bytes || 0) + (w.cgroup.memory_max_bytes ? " of " + bytes(w.cgroup.memory_max_bytes) : ", no limit")],
                    ["killed for memory", String(w.cgroup.oom_kills || 0)],
                    ["processor throttled", `${w.cgroup.cpu_throttled || 0} of ${w.cgroup.cpu_periods || 0} periods`],
                    ["processes", String(w.cgroup.pids || 0) + (w.cgroup.pids_max ? " of " + w.cgroup.pids_max : "")],
                  ]}
                />
                <Lines list={w.cgroup.pressure} label="Pressure of the cgroup" />
              </Fold>
            )}
            {(w.pressure || []).length > 0 && (
              <Fold name="Pressure of the machine">
                <Lines list={w.pressure} label="Pressure of the machine" />
              </Fold>
            )}
            {(w.missing || []).map((m) => (
              <div class="note">{clean(m)}</div>
            ))}
          </Fragment>
        )}
      </State>
      <State busy={process.busy && !p && has("process")} error={process.error}>
        {p && (
          <Fragment>
            <Fold name="Process" open>
              <Facts
                of={[
                  ["pid, parent", p.pid + ", " + p.ppid],
                  ["state", clean(p.state)],
                  ["program", clean(p.exe)],
                  ["directory", clean(p.cwd)],
                  ["user, group", p.uid + ", " + p.gid],
                  ["memory", bytes(p.rss_bytes) + " resident, " + bytes(p.vsize_bytes) + " virtual"],
                  ["processor", span(p.user_seconds) + " user, " + span(p.system_seconds) + " system"],
                  ["cgroup", clean(p.cgroup)],
                ]}
              />
              <Lines list={p.command} label="Command" />
            </Fold>
            <Fold name={plural(p.thread_count, "thread")}>
              <Threads p={p} />
            </Fold>
            <Fold name={plural(p.fd_count, "descriptor")}>
              <Lines list={(p.opened || []).map((f) => f.fd + "  " + f.text)} label="Descriptors" />
            </Fold>
            <Fold name="Limits">
              <Lines list={p.limits} label="Limits" />
            </Fold>
            <Fold name="Environment">
              <Lines list={p.environment} label="Environment, secrets masked" />
            </Fold>
            <Fold name="Memory map">
              <Lines list={p.maps} label="Memory map" />
            </Fold>
            {(p.denied || []).map((d) => (
              <div class="note">{clean(d)}</div>
            ))}
          </Fragment>
        )}
      </State>
      {tree.value && (
        <Fold name={plural(tree.value.count, "other process")} open>
          {(tree.value.processes || []).map((t) => (
            <details class="fold-box">
              <summary>
                {t.pid} <b>{clean(t.comm)}</b> <span class="quiet">parent {t.ppid}, state {clean(t.state)}, {bytes(t.rss_bytes)}, {plural(t.threads, "thread")}</span>
              </summary>
              <Lines list={t.command} label="Command" />
              <Lines list={(t.stacks?.groups || []).flatMap((g) => [g.count + " " + g.status + " " + (g.wait_reason || ""), ...(g.frames || []).map((f) => "    " + f.function + (f.file ? " " + f.file + ":" + f.line : ""))])} label="Stacks" />
              {(t.missing || []).map((m) => (
                <div class="note">{clean(m)}</div>
              ))}
            </details>
          ))}
        </Fold>
      )}
      {runtime.value && (
        <Fold name="Runtime" open>
          <p class="quiet">{clean(runtime.value.version || runtime.value.runtime)}</p>
          <Lines list={runtime.value.heap} label="Heap" />
          <Lines list={runtime.value.safepoint} label="Safepoint" />
          {(runtime.value.notes || []).map((m) => (
            <div class="note">{clean(m)}</div>
          ))}
        </Fold>
      )}
    </Fragment>
  );
}

function Threads({ p }: { p: ProcessView }) {
  const list: Thread[] = p.threads || [];
  const did = new Map((p.deltas || []).map((d) => [d.tid, d]));
  const two = p.between_seconds > 0;
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Threads, a table">
      <table>
        <thead>
          <tr>
            <th scope="col">tid</th>
            <th scope="col">name</th>
            <th scope="col">state</th>
            <th scope="col">waits in</th>
            <th scope="col">system call</th>
            <th scope="col">processor</th>
            <th scope="col">switches</th>
            {two && <th scope="col">in the last {span(p.between_seconds)}</th>}
          </tr>
        </thead>
        <tbody>
          {list.slice(0, 1000).map((t) => (
            <tr class={t.state === "D" ? "bad" : ""}>
              <th scope="row">{t.tid}</th>
              <td>{clean(t.comm)}</td>
              <td>{clean(t.state)}</td>
              <td>{clean(t.wchan)}</td>
              <td>{clean(t.syscall)}</td>
              <td>{span(t.user_seconds + t.system_seconds)}</td>
              <td>{t.voluntary_switches + t.involuntary_switches}</td>
              {two && <td>{moved(did.get(t.tid))}</td>}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** What a thread did between two looks. */
function moved(d?: ThreadDelta): string {
  if (!d) return "new";
  const switches = d.voluntary_switches + d.involuntary_switches;
  return switches === 0 && d.cpu_seconds === 0 ? "nothing" : `${span(d.cpu_seconds)}, ${plural(switches, "switch").replace("switchs", "switches")}`;
}
