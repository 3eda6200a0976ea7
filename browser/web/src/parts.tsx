import { h, ComponentChildren, Fragment } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Badge } from "./api";
import { ago, clean, when } from "./text";

export function Time({ at }: { at: string }) {
  return (
    <time dateTime={at} title={when(at)}>
      {ago(at)}
    </time>
  );
}

const marks: { [state: string]: string } = { ok: "✓", partial: "~", missing: "–", removed: "✕" };

export function Badges({ list }: { list: Badge[] | null }) {
  return (
    <span class="badges">
      {(list || []).map((b) => (
        <span class={"badge " + b.state} title={b.name + ": " + (b.state === "ok" ? "there" : b.state) + (b.why ? " — " + clean(b.why) : "")}>
          <span aria-hidden="true">{marks[b.state] || "?"}</span> {b.name}
          {b.state !== "ok" && <span class="hidden"> ({b.state})</span>}
        </span>
      ))}
    </span>
  );
}

/** What is shown while there is nothing else to show. */
export function State({ busy, error, again, children }: { busy: boolean; error: string; again?: () => void; children?: ComponentChildren }) {
  if (error)
    return (
      <div class="note bad" role="alert">
        {error} {again && <button onClick={again}>Try again</button>}
      </div>
    );
  if (busy) return <p class="quiet" role="status">Loading…</p>;
  return <Fragment>{children}</Fragment>;
}

export function Empty({ children }: { children: ComponentChildren }) {
  return <p class="quiet empty">{children}</p>;
}

export function Copy({ text, label }: { text: () => string; label: string }) {
  const [said, say] = useState("");
  useEffect(() => {
    if (!said) return;
    const t = setTimeout(() => say(""), 3000);
    return () => clearTimeout(t);
  }, [said]);
  return (
    <button
      onClick={() =>
        Promise.resolve()
          .then(() => navigator.clipboard.writeText(text()))
          .then(
            () => say("Copied."),
            () => say("The browser does not allow it here."),
          )
      }
    >
      {label}
      <span role="status" class="said">
        {said && " " + said}
      </span>
    </button>
  );
}

/** A dialog that asks before something is done. */
export function Confirm({ title, children, yes, onYes, onNo }: { title: string; children?: ComponentChildren; yes: string; onYes: () => void; onNo: () => void }) {
  const box = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    box.current?.showModal();
  }, []);
  return (
    <dialog ref={box} aria-labelledby="confirm-title" onClose={onNo}>
      <h2 id="confirm-title">{title}</h2>
      {children}
      <div class="row">
        <button class="primary" onClick={onYes}>
          {yes}
        </button>
        <button autoFocus onClick={onNo}>
          Cancel
        </button>
      </div>
    </dialog>
  );
}

/** A table of names and values. */
export function Facts({ of, wide }: { of: [string, ComponentChildren][]; wide?: boolean }) {
  return (
    <dl class={wide ? "facts inline" : "facts"}>
      {of.map(([name, value]) => (
        <div>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** Tabs by the pattern of the ARIA guide: arrows move, the chosen one is in the tab order. */
export function Tabs({ list, chosen, onChoose, label }: { list: [string, string][]; chosen: string; onChoose: (id: string) => void; label: string }) {
  const bar = useRef<HTMLDivElement>(null);
  const move = (e: KeyboardEvent) => {
    const at = list.findIndex(([id]) => id === chosen);
    const next = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: list.length - 1 }[e.key];
    if (next === undefined) return;
    e.preventDefault();
    const n = (next + list.length) % list.length;
    onChoose(list[n][0]);
    (bar.current?.children[n] as HTMLElement)?.focus();
  };
  return (
    <div class="tabs" role="tablist" aria-label={label} ref={bar} onKeyDown={move}>
      {list.map(([id, name]) => (
        <button role="tab" id={"tab-" + id} aria-selected={id === chosen} aria-controls="panel" tabIndex={id === chosen ? 0 : -1} onClick={() => onChoose(id)}>
          {name}
        </button>
      ))}
    </div>
  );
}

/**
 * A list of which only what is in sight is in the page. It has its whole length
 * from the beginning; onSight says which rows are looked at, so that they can be
 * loaded.
 */
export function Rows({ length, height, row, label, onSight }: { length: number; height: number; row: (index: number) => ComponentChildren; label: string; onSight?: (from: number, to: number) => void }) {
  const box = useRef<HTMLDivElement>(null);
  const [sight, see] = useState<[number, number]>([0, 60]);
  useEffect(() => {
    const el = box.current;
    if (!el) return;
    const look = () => {
      const from = Math.max(0, Math.floor(el.scrollTop / height) - 20);
      const to = Math.ceil((el.scrollTop + el.clientHeight) / height) + 20;
      see((s) => (s[0] === from && s[1] === to ? s : [from, to]));
    };
    look();
    el.addEventListener("scroll", look, { passive: true });
    const o = new ResizeObserver(look);
    o.observe(el);
    return () => {
      el.removeEventListener("scroll", look);
      o.disconnect();
    };
  }, [height, length > 0]);
  const from = Math.min(sight[0], length);
  const to = Math.min(sight[1], length);
  useEffect(() => onSight?.(from, to));
  return (
    <div class="rows" ref={box} role="list" aria-label={label} tabIndex={0}>
      <div class="space" style={{ height: length * height + "px" }}>
        {Array.from({ length: to - from }, (_, n) => from + n).map((n) => (
          // With its number as key, a row keeps the focus while others come and go.
          <div key={n} role="listitem" class="at" aria-setsize={length} aria-posinset={n + 1} style={{ top: n * height + "px", height: height + "px" }}>
            {row(n)}
          </div>
        ))}
      </div>
    </div>
  );
}
