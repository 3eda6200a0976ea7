import { h } from "preact";
import { useEffect, useRef } from "preact/hooks";

/** Whether somebody types: then keys are text. */
function typing(e: KeyboardEvent): boolean {
  const t = e.target as HTMLElement;
  return e.ctrlKey || e.metaKey || e.altKey || t.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(t.tagName) || !!document.querySelector("dialog[open]");
}

/** Keys of the page; "g l" is one after the other within a second. */
export function useKeys(keys: { [key: string]: (e: KeyboardEvent) => void }) {
  const now = useRef(keys);
  now.current = keys;
  useEffect(() => {
    let before = "";
    let at = 0;
    const on = (e: KeyboardEvent) => {
      if (typing(e)) return;
      const both = e.timeStamp - at < 1000 ? before + " " + e.key : "";
      const f = (both && now.current[both]) || now.current[e.key];
      before = e.key;
      at = e.timeStamp;
      if (f) {
        e.preventDefault();
        f(e);
      }
    };
    addEventListener("keydown", on);
    return () => removeEventListener("keydown", on);
  }, []);
}

/** Moves the focus among the elements of a selector. */
export function step(selector: string, by: number) {
  const all = [...document.querySelectorAll<HTMLElement>(selector)];
  if (!all.length) return;
  const at = all.findIndex((e) => e === document.activeElement || e.contains(document.activeElement));
  const next = all[Math.min(Math.max(at < 0 ? (by > 0 ? 0 : all.length - 1) : at + by, 0), all.length - 1)];
  next.focus();
  next.scrollIntoView({ block: "nearest" });
}

const list: [string, string][] = [
  ["j, k", "next, previous row"],
  ["Enter", "open it"],
  ["/", "search"],
  ["1 to 8", "views of an incident"],
  ["[, ]", "older, newer incident of the same fingerprint"],
  ["g l", "list of incidents"],
  ["g n", "now"],
  ["?", "this help"],
  ["Esc", "close, or leave the search"],
];

export function Help({ onClose }: { onClose: () => void }) {
  const box = useRef<HTMLDialogElement>(null);
  useEffect(() => box.current?.showModal(), []);
  return (
    <dialog ref={box} onClose={onClose} aria-labelledby="help-title">
      <h2 id="help-title">Keys</h2>
      <table>
        <tbody>
          {list.map(([k, what]) => (
            <tr>
              <th scope="row">
                <kbd>{k}</kbd>
              </th>
              <td>{what}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <h2>Words</h2>
      <dl>
        <dt>fingerprint</dt>
        <dd>Incidents with the same one died in the same way. It is the same on other hosts and after a restart.</dd>
        <dt>certain, inferred</dt>
        <dd>Who holds a lock was read from memory, or follows from whose stack stands inside of it.</dd>
        <dt>suspicious, look, normal</dt>
        <dd>Three heaps of stacks. What you mark as normal for a service goes to the last one in its next incident too.</dd>
      </dl>
      <div class="row">
        <button autoFocus onClick={() => box.current?.close()}>
          Close
        </button>
      </div>
    </dialog>
  );
}
