import { h, Fragment } from "preact";
import { useState } from "preact/hooks";
import { About, Incident } from "../api";
import { download } from "../client";
import { Copy } from "../parts";
import { clean } from "../text";

const forms: [string, string, string][] = [
  ["html", "One HTML file", "all views of this incident, to open offline"],
  ["markdown", "Markdown", "for a bug tracker: verdict, evidence, the first stacks"],
  ["pprof", "pprof", "stacks as a profile, for go tool pprof"],
  ["text", "Text", "stacks as the runtime itself prints them"],
  ["json", "JSON", "everything as one object"],
  ["bundle", "Bundle", "all files, for vigil browse on another machine"],
];

export function ShareView({ incident, about }: { incident: Incident; about: About }) {
  const i = incident.incident;
  const [share, setShare] = useState(true);
  if (about.offline)
    return <p>This is an exported file already: it can be passed on as it is. What was removed from it stands under Collectors.</p>;
  return (
    <Fragment>
      <p class="row">
        <Copy label="Copy the link to this incident" text={() => location.href.replace(/#.*/, "") + "#/incident/" + encodeURIComponent(i.id) + "/stacks"} />
        <Copy label="Copy the command" text={() => "vigil incidents show " + i.id} />
      </p>
      <p class="quiet">The address of every view has what is chosen in it, and can be copied too. It works for who may open this browser.</p>
      <h2>Export</h2>
      <label class="check">
        <input type="checkbox" checked={share} onChange={(e) => setShare(e.currentTarget.checked)} /> for others: without variables, values of the environment, output and memory; addresses and the host get other names
      </label>
      <ul class="exports">
        {forms.map(([format, name, what]) => (
          <li>
            <a class="button" href={download("incidents/" + encodeURIComponent(i.id) + "/export", { format, share })} download>
              {name}
            </a>{" "}
            {what}
          </li>
        ))}
      </ul>
      {!share && (i.masked || []).length > 0 && <div class="note">Values that look secret are masked in every form. Others are in it as they were: {clean(i.service)} may have written some to its output.</div>}
    </Fragment>
  );
}
