// Words for numbers and times. Whatever comes from an incident is shown as text.

/** Makes control characters visible: an incident may hold anything. */
export function clean(text: string | undefined | null): string {
  // eslint-disable-next-line no-control-regex
  return (text ?? "").replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, (c) => {
    const n = c.charCodeAt(0);
    return n < 0x20 ? String.fromCharCode(0x2400 + n) : "\\u" + n.toString(16).padStart(4, "0");
  });
}

export function count(n: number): string {
  return n.toLocaleString("en");
}

export function plural(n: number, noun: string): string {
  return count(n) + " " + noun + (n === 1 ? "" : "s");
}

export function bytes(n: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let i = 0;
  for (; Math.abs(n) >= 1024 && i < units.length - 1; i++) n /= 1024;
  return (i === 0 || Math.abs(n) >= 100 ? n.toFixed(0) : n.toFixed(1)) + " " + units[i];
}

/** A length of time in seconds. */
export function span(s: number): string {
  const a = Math.abs(s);
  if (a === 0) return "0 s";
  if (a < 0.001) return (s * 1e6).toFixed(0) + " µs";
  if (a < 1) return (s * 1000).toFixed(a < 0.1 ? 1 : 0) + " ms";
  if (a < 60) return s.toFixed(a < 10 ? 1 : 0) + " s";
  if (a < 3600) return Math.floor(s / 60) + " min " + Math.round(a % 60) + " s";
  if (a < 86400) return Math.floor(s / 3600) + " h " + Math.round((a % 3600) / 60) + " min";
  return Math.floor(s / 86400) + " d " + Math.round((a % 86400) / 3600) + " h";
}

export function ago(time: string, now = Date.now()): string {
  const s = (now - Date.parse(time)) / 1000;
  if (!isFinite(s)) return "?";
  if (s < 0) return "in the future";
  if (s < 5) return "now";
  const [n, unit] = s < 60 ? [s, "s"] : s < 3600 ? [s / 60, "min"] : s < 86400 ? [s / 3600, "h"] : [s / 86400, "d"];
  return Math.floor(n) + " " + unit + " ago";
}

export function when(time: string): string {
  const d = new Date(time);
  return isNaN(d.getTime()) ? time : d.toISOString().replace("T", " ").replace(/(\.\d{3})?Z$/, " UTC");
}

export function place(p: { function: string; file?: string; line?: number } | undefined | null): string {
  if (!p) return "";
  return clean(p.function) + (p.file ? " " + clean(p.file.slice(p.file.lastIndexOf("/") + 1)) + ":" + (p.line || "?") : "");
}
