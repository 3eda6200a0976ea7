import { useEffect, useState } from "preact/hooks";

/** Where the reader is: everything that is chosen stands in the address. */
export interface Route {
  parts: string[];
  query: { [name: string]: string };
}

export function parse(hash: string): Route {
  const [path, query] = split(hash.replace(/^#\/?/, ""), "?");
  const q: { [name: string]: string } = {};
  new URLSearchParams(query).forEach((v, k) => (q[k] = v));
  return { parts: path.split("/").filter(Boolean).map(decode), query: q };
}

function split(text: string, at: string): [string, string] {
  const n = text.indexOf(at);
  return n < 0 ? [text, ""] : [text.slice(0, n), text.slice(n + 1)];
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export function href(parts: (string | number)[], query: { [name: string]: string | number | undefined } = {}): string {
  const q = new URLSearchParams();
  for (const [k, v] of Object.entries(query)) if (v !== undefined && v !== "") q.set(k, String(v));
  const text = q.toString();
  return "#/" + parts.map((p) => encodeURIComponent(String(p))).join("/") + (text ? "?" + text : "");
}

export function go(to: string) {
  location.hash = to;
}

/** Changes some of the query and stays where the reader is. */
export function choose(route: Route, change: { [name: string]: string | number | undefined }, push = false) {
  const to = href(route.parts, { ...route.query, ...change });
  if (push) location.hash = to;
  else {
    history.replaceState(null, "", to);
    dispatchEvent(new HashChangeEvent("hashchange"));
  }
}

export function useRoute(): Route {
  const [route, set] = useState(() => parse(location.hash));
  useEffect(() => {
    const on = () => set(parse(location.hash));
    addEventListener("hashchange", on);
    return () => removeEventListener("hashchange", on);
  }, []);
  return route;
}

/** The time that was chosen on the timeline, in seconds from the verdict. */
export function chosenTime(route: Route): [number, number] | null {
  const { from, to } = route.query;
  return from && to && isFinite(+from) && isFinite(+to) ? [+from, +to] : null;
}
