import { h, Fragment } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { Flame as Data, FlameNode } from "../api";
import { clean, count, plural } from "../text";

interface Box {
  node: FlameNode;
  path: string;
  depth: number;
  from: number; // share of the whole, 0 to 1
  to: number;
}

const row = 22;
const least = 1 / 700; // of the width: what is smaller is not drawn

/** All boxes below a node that are wide enough to be seen. */
function lay(root: FlameNode): Box[] {
  const out: Box[] = [];
  const add = (node: FlameNode, path: string, depth: number, from: number, to: number) => {
    out.push({ node, path, depth, from, to });
    let at = from;
    (node.children || []).forEach((c, n) => {
      const next = at + ((to - from) * c.count) / node.count;
      if (next - at >= least) add(c, path + "/" + n, depth + 1, at, next);
      at = next;
    });
  };
  add(root, "", 0, 0, 1);
  return out;
}

function find(root: FlameNode, path: string): FlameNode[] {
  const line = [root];
  for (const n of path.split("/").filter(Boolean)) {
    const next = (line[line.length - 1].children || [])[Number(n)];
    if (!next) break;
    line.push(next);
  }
  return line;
}

/** Functions by how many stand in them, innermost, and in all. */
function functions(root: FlameNode): { name: string; self: number; total: number; groups: number[] }[] {
  const all = new Map<string, { name: string; self: number; total: number; groups: number[] }>();
  const walk = (n: FlameNode, above: Set<string>) => {
    const below = (n.children || []).reduce((s, c) => s + c.count, 0);
    let f = all.get(n.function);
    if (!f) all.set(n.function, (f = { name: n.function, self: 0, total: 0, groups: n.groups || [] }));
    f.self += n.count - below;
    const first = !above.has(n.function);
    if (first) {
      f.total += n.count;
      above.add(n.function);
    }
    (n.children || []).forEach((c) => walk(c, above));
    if (first) above.delete(n.function);
  };
  (root.children || []).forEach((c) => walk(c, new Set()));
  return [...all.values()].sort((a, b) => b.self - a.self || b.total - a.total);
}

export function Flame({ data, onSelect, selected }: { data: Data; onSelect: (groups: number[]) => void; selected: number[] }) {
  const [zoom, setZoom] = useState("");
  const [up, setUp] = useState(false);
  const [text, setText] = useState("");
  const [at, setAt] = useState("");
  const chart = useRef<HTMLDivElement>(null);
  const line = useMemo(() => find(data.root, zoom), [data, zoom]);
  const root = line[line.length - 1];
  const boxes = useMemo(() => lay(root), [root]);
  const depth = Math.max(...boxes.map((b) => b.depth)) + 1;
  const want = text.toLowerCase();
  const hit = (n: FlameNode) => !!want && n.function.toLowerCase().includes(want);
  const matching = useMemo(() => {
    const sum = (n: FlameNode): number => (hit(n) ? n.count : (n.children || []).reduce((s, c) => s + sum(c), 0));
    return want ? sum(root) : 0;
  }, [root, want]);
  useEffect(() => setAt(""), [zoom, data]);
  if (data.root.count === 0) return <p class="quiet empty">There are no stacks to add up.</p>;
  const here = boxes.find((b) => b.path === at) || boxes[0];
  const focus = (b?: Box) => {
    if (!b) return;
    setAt(b.path);
    chart.current?.querySelector<HTMLElement>(`[data-path="${b.path}"]`)?.focus();
  };
  const key = (e: KeyboardEvent) => {
    const parent = here.path.slice(0, here.path.lastIndexOf("/"));
    const same = boxes.filter((b) => b.depth === here.depth);
    const n = same.indexOf(here);
    const inward = boxes.find((b) => b.path.startsWith(here.path + "/") && b.depth === here.depth + 1);
    const outward = here.path ? boxes.find((b) => b.path === parent) : undefined;
    const to: { [key: string]: Box | undefined } = {
      ArrowLeft: same[n - 1],
      ArrowRight: same[n + 1],
      ArrowDown: up ? outward : inward,
      ArrowUp: up ? inward : outward,
    };
    if (e.key in to) focus(to[e.key]);
    else if (e.key === "Enter") onSelect(here.node.groups || []);
    else if (e.key === " ") setZoom(zoom + here.path);
    else if (e.key === "Escape") setZoom(zoom.slice(0, Math.max(0, zoom.lastIndexOf("/"))));
    else return;
    e.preventDefault();
  };
  return (
    <div class="flame">
      <div class="row">
        <label>
          Highlight <input type="search" value={text} onInput={(e) => setText(e.currentTarget.value)} />
        </label>
        <button aria-pressed={up} onClick={() => setUp(!up)}>
          {up ? "Outermost at the bottom" : "Outermost on top"}
        </button>
        <span role="status" class="quiet">
          {plural(root.count, data.noun)}
          {want && `, ${count(matching)} (${((100 * matching) / root.count).toFixed(0)} %) match`}
          {data.merged > 0 && `; ${count(data.merged)} small boxes are left out`}
        </span>
      </div>
      <nav aria-label="Zoom" class="crumbs">
        {line.map((n, i) => (
          <button class="plain" disabled={i === line.length - 1} onClick={() => setZoom(zoom.split("/").slice(0, i + 1).join("/"))}>
            {clean(n.function)}
          </button>
        ))}
      </nav>
      <p class="quiet">Enter opens the stacks of a box, space zooms in, Esc out; hatched boxes are of libraries.</p>
      <div class="boxes" ref={chart} role="tree" aria-label={"Stacks, outermost function first, by count of " + data.noun + "s"} style={{ height: depth * row + "px" }} onKeyDown={key}>
        {boxes.map((b) => {
          const share = ((100 * b.node.count) / data.root.count).toFixed(1);
          const name = clean(b.node.function);
          return (
            <button
              role="treeitem"
              aria-level={b.depth + 1}
              aria-label={`${name}, ${plural(b.node.count, data.noun)}, ${share} percent`}
              aria-selected={(b.node.groups || []).some((g) => selected.includes(g))}
              data-path={b.path}
              tabIndex={b === here ? 0 : -1}
              class={(b.node.runtime ? "library" : "own") + (hit(b.node) ? " hit" : "")}
              title={`${name}\n${b.node.file ? clean(b.node.file) + ":" + b.node.line + "\n" : ""}${plural(b.node.count, data.noun)}, ${share} %`}
              style={{ left: b.from * 100 + "%", width: (b.to - b.from) * 100 + "%", top: (up ? depth - 1 - b.depth : b.depth) * row + "px" }}
              onFocus={() => setAt(b.path)}
              onClick={() => (b.path ? setZoom(zoom + b.path) : setZoom(zoom.slice(0, Math.max(0, zoom.lastIndexOf("/")))))}
            >
              {name}
            </button>
          );
        })}
      </div>
      <div class="row">
        <button onClick={() => onSelect(root.groups || [])}>Show the stacks of {clean(root.function)}</button>
      </div>
      <details class="fold-box">
        <summary>
          <h2>Functions by count</h2>
        </summary>
        <table>
          <thead>
            <tr>
              <th scope="col">function</th>
              <th scope="col">innermost</th>
              <th scope="col">in all</th>
            </tr>
          </thead>
          <tbody>
            {functions(root)
              .slice(0, 100)
              .map((f) => (
                <tr>
                  <th scope="row">
                    <button class="plain" onClick={() => onSelect(f.groups)}>
                      {clean(f.name)}
                    </button>
                  </th>
                  <td>{count(f.self)}</td>
                  <td>{count(f.total)}</td>
                </tr>
              ))}
          </tbody>
        </table>
      </details>
    </div>
  );
}
