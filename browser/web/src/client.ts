// Asks the server, or in an exported file the answers that came with it.

const prefix = "api/v1/";

export class Failure extends Error {
  constructor(
    public code: string,
    message: string,
  ) {
    super(message);
  }
}

// In an exported file the answers stand in one element, by path.
const answers: { [path: string]: unknown } | null = (() => {
  const element = document.getElementById("vigil-data");
  if (!element) return null;
  try {
    return JSON.parse(element.textContent || "{}");
  } catch {
    return {};
  }
})();

export const offline = answers !== null;

export interface Query {
  [name: string]: string | number | boolean | undefined;
}

/** The path with those parts of the query that say something, in the order of their names. */
export function pathOf(path: string, query: Query = {}): string {
  const q = new URLSearchParams();
  for (const name of Object.keys(query).sort()) {
    const v = query[name];
    if (v !== undefined && v !== "" && v !== false) q.set(name, v === true ? "1" : String(v));
  }
  const text = q.toString();
  return text ? path + "?" + text : path;
}

async function answer<T>(reply: Response): Promise<T> {
  if (reply.status === 204) return undefined as T;
  let body: unknown;
  try {
    body = await reply.json();
  } catch {
    throw new Failure("failed", `The server's answer cannot be read (status ${reply.status}).`);
  }
  if (!reply.ok) {
    const e = body as { code?: string; error?: string };
    throw new Failure(e.code || "failed", e.error || `The server refused (status ${reply.status}).`);
  }
  return body as T;
}

async function send<T>(path: string, options: RequestInit): Promise<T> {
  let reply: Response;
  try {
    reply = await fetch(prefix + path, { credentials: "same-origin", ...options });
  } catch (e) {
    if (e instanceof DOMException && e.name === "AbortError") throw e;
    throw new Failure("offline", "vigil browse does not answer: it has ended, or the connection is lost.");
  }
  return answer<T>(reply);
}

/** Reads; in an exported file from the file. */
export async function get<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
  const whole = pathOf(path, query);
  if (answers) {
    if (whole in answers) return answers[whole] as T;
    throw new Failure("not-found", "This is not in the exported file: open the incident with vigil browse to see it.");
  }
  return send<T>(whole, { signal });
}

/** Changes something. */
export async function change<T>(method: "POST" | "PUT", path: string, body: unknown): Promise<T> {
  if (answers) throw new Failure("offline", "An exported file changes nothing.");
  return send<T>(path, { method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
}

/** The address of a download. */
export function download(path: string, query: Query): string {
  return prefix + pathOf(path, query);
}

/** Listens to the stream until the returned function is called. */
export function listen(on: (kind: string, data: unknown) => void): () => void {
  if (answers || typeof EventSource === "undefined") return () => {};
  const source = new EventSource(prefix + "live");
  for (const kind of ["incident", "removed", "event", "lost"]) {
    source.addEventListener(kind, (e) => {
      try {
        on(kind, JSON.parse((e as MessageEvent).data));
      } catch {
        /* half a message is none */
      }
    });
  }
  return () => source.close();
}

/** What an error says to a person. */
export function saying(e: unknown): string {
  return e instanceof Error ? e.message : String(e);
}
