import { h, Fragment } from "preact";
import { useMemo, useState } from "preact/hooks";
import { graphlib, layout } from "dagre";
import { Edge, Node, Waits } from "../api";
import { clean, count, place } from "../text";

const width = 230;
const height = 46;
const most = 300; // edges that are drawn; with more of them nobody sees anything

interface Drawn {
  wide: number;
  high: number;
  nodes: { node: Node; x: number; y: number }[];
  edges: { edge: Edge; points: { x: number; y: number }[] }[];
}

function draw(data: Waits): Drawn | null {
  const nodes = data.nodes || [];
  const edges = data.edges || [];
  if (!nodes.length || edges.length > most) return null;
  const g = new graphlib.Graph({ multigraph: true });
  g.setGraph({ rankdir: "LR", nodesep: 18, ranksep: 170, marginx: 12, marginy: 12 });
  g.setDefaultEdgeLabel(() => ({}));
  nodes.forEach((n) => g.setNode(String(n.id), { width, height }));
  edges.forEach((e, n) => g.setEdge(String(e.from), String(e.to), {}, String(n)));
  layout(g);
  const size = g.graph() as { width?: number; height?: number };
  return {
    wide: size.width || 100,
    high: size.height || 100,
    nodes: nodes.map((node) => {
      const at = g.node(String(node.id)) as { x: number; y: number };
      return { node, x: at.x, y: at.y };
    }),
    edges: edges.map((edge, n) => ({ edge, points: (g.edge(String(edge.from), String(edge.to), String(n)) as { points: { x: number; y: number }[] }).points })),
  };
}

function cut(text: string, n: number): string {
  return text.length > n ? text.slice(0, n - 1) + "…" : text;
}

function kindOf(e: Edge): string {
  return e.any ? "one of several" : e.certain ? "certain" : "inferred";
}

export function WaitGraph({ data, onSelect, selected }: { data: Waits; onSelect: (node: Node) => void; selected: number | null }) {
  const [zoom, setZoom] = useState(1);
  const drawn = useMemo(() => draw(data), [data]);
  const byID = useMemo(() => new Map((data.nodes || []).map((n) => [n.id, n])), [data]);
  const name = (id: number) => clean(byID.get(id)?.label || (id ? String(id) : "somebody unknown"));
  return (
    <Fragment>
      {data.sentence && !(data.cycles || []).length && <p class="verdict">{clean(data.sentence)}</p>}
      {data.why && <p class="quiet empty">{clean(data.why)}</p>}
      {(data.cycles || []).map((c) => (
        <div class="note bad">
          <b>Deadlock</b> ({c.certain ? "certain" : "inferred"}): {clean(c.sentence)}
        </div>
      ))}
      {data.left > 0 && <p class="quiet">{count(data.left)} more wait and are not drawn: those for whom most wait are.</p>}
      {drawn && (
        <figure class="graph">
          <div class="row">
            <button onClick={() => setZoom((z) => z * 1.25)} aria-label="Larger">
              +
            </button>
            <button onClick={() => setZoom((z) => z / 1.25)} aria-label="Smaller">
              −
            </button>
            <button onClick={() => setZoom(1)}>100 %</button>
            <span class="legend">
              <svg width="34" height="8" aria-hidden="true"><line x1="0" y1="4" x2="34" y2="4" class="certain" /></svg> certain
              <svg width="34" height="8" aria-hidden="true"><line x1="0" y1="4" x2="34" y2="4" class="inferred" /></svg> inferred
              <svg width="34" height="8" aria-hidden="true"><line x1="0" y1="4" x2="34" y2="4" class="any" /></svg> one of several
              <svg width="34" height="8" aria-hidden="true"><line x1="0" y1="4" x2="34" y2="4" class="cycle" /></svg> cycle
            </span>
          </div>
          <div class="scroll" tabIndex={0} role="region" aria-label="Wait-for graph; the list below says the same">
            <svg width={drawn.wide * zoom} height={drawn.high * zoom} viewBox={`0 0 ${drawn.wide} ${drawn.high}`} role="group" aria-label="Who waits for whom">
              <defs>
                <marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="9" markerHeight="9" markerUnits="userSpaceOnUse" orient="auto">
                  <path d="M0 0L8 4L0 8z" class="arrow" />
                </marker>
              </defs>
              {drawn.edges.map(({ edge, points }) => {
                const middle = points[Math.floor(points.length / 2)];
                return (
                  <g class={"edge " + (edge.cycle ? "cycle " : "") + (edge.any ? "any" : edge.certain ? "certain" : "inferred")}>
                    <title>
                      {name(edge.from)} waits for {name(edge.to)}: {clean(edge.kind)} {clean(edge.name || edge.address)} ({kindOf(edge)})
                    </title>
                    <polyline points={points.map((p) => p.x + "," + p.y).join(" ")} fill="none" marker-end="url(#arrow)" />
                    <text x={middle.x} y={middle.y - 5} text-anchor="middle">
                      {cut(clean(edge.name || edge.kind), 26)}
                    </text>
                  </g>
                );
              })}
              {drawn.nodes.map(({ node, x, y }) => (
                <g
                  class={"node" + (node.cycle ? " cycle" : "") + (selected === node.id ? " chosen" : "")}
                  transform={`translate(${x - width / 2} ${y - height / 2})`}
                  role="button"
                  tabIndex={0}
                  onClick={() => onSelect(node)}
                  onKeyDown={(e) => {
                    if (e.key === "Enter" || e.key === " ") {
                      e.preventDefault();
                      onSelect(node);
                    }
                  }}
                >
                  <title>{clean(node.label)}</title>
                  <rect width={width} height={height} rx={4} />
                  <text x={10} y={19} class="name">
                    {cut(clean(node.label), 32)}
                  </text>
                  <text x={10} y={36}>
                    {cut((node.cycle ? "cycle — " : "") + clean(node.status), 36)}
                  </text>
                </g>
              ))}
            </svg>
          </div>
        </figure>
      )}
      {!drawn && (data.edges || []).length > most && <p class="quiet">There are {count(data.edges!.length)} edges: too many to draw. They are listed.</p>}
      {(data.edges || []).length > 0 && (
        <Fragment>
          <h2>Who waits for whom</h2>
          <ul class="edges">
            {data.edges!.slice(0, 1000).map((e) => (
              <li class={e.cycle ? "cycle" : ""}>
                <EdgeEnd node={byID.get(e.from)} id={e.from} onSelect={onSelect} /> waits for <EdgeEnd node={byID.get(e.to)} id={e.to} onSelect={onSelect} />: {clean(e.kind)} {clean(e.name || e.address)}
                {e.place && <span class="quiet"> in {place(e.place)}</span>} <span class="badge">{kindOf(e)}</span>
                {e.count > 1 && <span class="quiet"> {count(e.count)} times</span>}
                {e.cycle && <b> cycle</b>}
              </li>
            ))}
          </ul>
        </Fragment>
      )}
    </Fragment>
  );
}

function EdgeEnd({ node, id, onSelect }: { node?: Node; id: number; onSelect: (n: Node) => void }) {
  if (!node || node.group < 0) return <span>{clean(node?.label || (id ? String(id) : "somebody unknown"))}</span>;
  return (
    <button class="plain" onClick={() => onSelect(node)}>
      {clean(node.label)}
    </button>
  );
}
