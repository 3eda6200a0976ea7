import { h, Fragment } from "preact";
import { Compare, ComparedGroup, GroupChange } from "../api";
import { useLoad } from "../load";
import { Empty, Facts, State } from "../parts";
import { href } from "../router";
import { clean, count, place, plural, span, when } from "../text";

export function ComparePage({ left, right }: { left: string; right: string }) {
  const loaded = useLoad<Compare>("incidents/" + encodeURIComponent(left) + "/compare", { with: right });
  const v = loaded.value;
  const c = v?.comparison;
  const both = right === "captures";
  const sides: [string, string][] = [
    ["right", both ? "Only in the second" : "Only right"],
    ["left", both ? "Only in the first" : "Only left"],
    ["both", "In both"],
  ];
  return (
    <Fragment>
      <h1>Compare</h1>
      <State busy={loaded.busy && !v} error={loaded.error} again={loaded.again}>
        {v && c && (
          <Fragment>
            <Facts
              of={
                both
                  ? [["two captures of", <a href={href(["incident", v.left.id, "stacks"])}>{clean(v.left.service) + " " + when(v.left.time)}</a>]]
                  : [
                      ["left", <a href={href(["incident", v.left.id, "stacks"])}>{clean(v.left.service) + "#" + v.left.instance + " " + when(v.left.time)}</a>],
                      ["right", <a href={href(["incident", v.right.id, "stacks"])}>{clean(v.right.service) + "#" + v.right.instance + " " + when(v.right.time)}</a>],
                    ]
              }
            />
            {v.why && <div class="note">{clean(v.why)}</div>}
            {c.sentence && <p class="verdict">{clean(c.sentence)}</p>}
            <p>
              {plural(c.left, c.noun || "thread")} left, {count(c.right)} right
              {c.same_process && `; ${count(c.still || 0)} did not move, ${count(c.moves || 0)} moved, ${count(c.spins || 0)} spin, ${count(c.new || 0)} new, ${count(c.gone || 0)} gone`}
            </p>
            {(c.changes || []).length > 0 && (
              <section>
                <h2>What each did in between</h2>
                <div class="scroll" tabIndex={0} role="region" aria-label="Changes, a table">
                  <table>
                    <thead>
                      <tr>
                        <th scope="col">id</th>
                        <th scope="col">name</th>
                        <th scope="col">did</th>
                        <th scope="col">from</th>
                        <th scope="col">to</th>
                        <th scope="col">state</th>
                        <th scope="col">processor</th>
                      </tr>
                    </thead>
                    <tbody>
                      {c.changes!.map((x) => (
                        <tr class={x.motion === "spins" ? "bad" : ""}>
                          <th scope="row">{x.id}</th>
                          <td>{clean(x.name)}</td>
                          <td>{x.motion === "still" ? "did not move" : x.motion}</td>
                          <td>{place(x.from)}</td>
                          <td>{place(x.to)}</td>
                          <td>{clean(x.state)}</td>
                          <td>{x.cpu_seconds ? span(x.cpu_seconds) : ""}</td>
                        </tr>
                      ))}
                    </tbody>
                  </table>
                </div>
              </section>
            )}
            {sides.map(([side, name]) => {
              const list = (c.groups || []).map((g, n) => [g, (v.groups || [])[n]] as [GroupChange, ComparedGroup | undefined]).filter(([g]) => g.side === side);
              if (both && !list.length) return null;
              return (
                <section aria-label={name}>
                  <h2>
                    {name} <span class="quiet">{plural(list.length, "stack")}</span>
                  </h2>
                  {list.length === 0 && <Empty>None.</Empty>}
                  {list.map(([g, frames]) => (
                    <details class="group">
                      <summary>
                        <b class="count">
                          {count(g.left)} → {count(g.right)}
                        </b>
                        <span class="label">{place(g.where)}</span>
                        <span class="state">
                          {clean(g.status)}
                          {g.wait_reason ? ": " + clean(g.wait_reason) : ""}
                        </span>
                        {g.other_lines && <span class="reason">other lines of the same functions</span>}
                      </summary>
                      <ol class="frames">
                        {(frames?.frames || []).map((f) => (
                          <li class={f.own ? "own" : "library"}>
                            <code>{clean(f.function)}</code>
                            <span class="at">
                              {clean(f.file)}:{f.line}
                            </span>
                          </li>
                        ))}
                      </ol>
                    </details>
                  ))}
                </section>
              );
            })}
            {(c.cut || 0) > 0 && <p class="quiet">{count(c.cut!)} more are not shown.</p>}
          </Fragment>
        )}
      </State>
    </Fragment>
  );
}
