import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { get, Query, pathOf, saying, Failure } from "./client";

export interface Loaded<T> {
  value: T | null;
  error: string;
  code: string;
  busy: boolean;
  again: () => void;
}

/** Loads what a path says; what was there stays until the new is there. */
export function useLoad<T>(path: string | null, query: Query = {}): Loaded<T> {
  const [state, set] = useState<{ of: string; value: T | null; error: string; code: string; busy: boolean }>({ of: "", value: null, error: "", code: "", busy: true });
  const [turn, setTurn] = useState(0);
  const whole = path === null ? "" : pathOf(path, query);
  const base = useRef("");
  useEffect(() => {
    if (path === null) return;
    const stop = new AbortController();
    const other = base.current !== path;
    base.current = path;
    set((s) => (other ? { of: whole, value: null, error: "", code: "", busy: true } : { ...s, busy: true }));
    get<T>(path, query, stop.signal).then(
      (value) => !stop.signal.aborted && set({ of: whole, value, error: "", code: "", busy: false }),
      (e) => !stop.signal.aborted && set((s) => ({ of: whole, value: s.value, error: saying(e), code: e instanceof Failure ? e.code : "", busy: false })),
    );
    return () => stop.abort();
  }, [whole, turn]);
  return { value: state.value, error: state.error, code: state.code, busy: state.busy, again: useCallback(() => setTurn((n) => n + 1), []) };
}
