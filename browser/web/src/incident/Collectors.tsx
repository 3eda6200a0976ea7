import { h, Fragment } from "preact";
import { Incident } from "../api";
import { Empty, Facts } from "../parts";
import { bytes, clean, span } from "../text";

export function CollectorsView({ incident }: { incident: Incident }) {
  const i = incident.incident;
  return (
    <Fragment>
      <h2>What is missing</h2>
      {[...(i.missing || []), ...(incident.problems || [])].length === 0 ? (
        <Empty>Nothing that was asked for is missing.</Empty>
      ) : (
        <ul>
          {[...(i.missing || []), ...(incident.problems || [])].map((m) => (
            <li>{clean(m)}</li>
          ))}
        </ul>
      )}
      <h2>How it was taken</h2>
      {i.freeze ? (
        <Facts
          of={[
            ["way", clean(i.freeze.method)],
            ["pause", span(i.freeze.pause_seconds) + " of at most " + span(i.freeze.budget_seconds)],
            ["threads", String(i.freeze.threads)],
            ["memory copied", bytes(i.freeze.bytes)],
          ]}
        />
      ) : (
        <Empty>Nothing was frozen: it had ended already, or it was not asked for.</Empty>
      )}
      {(i.freeze?.refused || []).length > 0 && (
        <Fragment>
          <h3>Better ways, and why they were not used</h3>
          <ul>
            {i.freeze!.refused!.map((r) => (
              <li>
                <b>{clean(r.rung)}</b>: {clean(r.reason)}
              </li>
            ))}
          </ul>
        </Fragment>
      )}
      <h2>Collectors</h2>
      <div class="scroll" tabIndex={0} role="region" aria-label="Collectors, a table">
        <table>
          <thead>
            <tr>
              <th scope="col">Collector</th>
              <th scope="col">Result</th>
              <th scope="col">Time</th>
              <th scope="col">Size</th>
              <th scope="col">Why</th>
            </tr>
          </thead>
          <tbody>
            {(i.collectors || []).map((r) => (
              <tr class={r.result}>
                <th scope="row">{clean(r.name)}</th>
                <td>{clean(r.result)}</td>
                <td>{span(r.cost_seconds)}</td>
                <td>{r.bytes ? bytes(r.bytes) : ""}</td>
                <td>{clean(r.reason)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <h2>Masked</h2>
      {(i.masked || []).length === 0 ? (
        <Empty>Nothing looked secret.</Empty>
      ) : (
        <ul>
          {i.masked!.map((m) => (
            <li>{clean(Object.values(m).join(" "))}</li>
          ))}
        </ul>
      )}
      <h2>Files</h2>
      {incident.directory && <p class="quiet">{clean(incident.directory)}</p>}
      <table>
        <tbody>
          {(i.files || []).map((f) => (
            <tr>
              <th scope="row">{clean(f.name)}</th>
              <td>{bytes(f.bytes)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <p class="quiet">
        taken by vigil {clean(i.vigil)}; id {clean(i.id)}; fingerprint {clean(i.fingerprint) || "none"}
      </p>
    </Fragment>
  );
}
