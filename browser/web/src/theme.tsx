import { h } from "preact";
import { useEffect, useState } from "preact/hooks";

const key = "vigil-theme";

function remembered(): string {
  try {
    return localStorage.getItem(key) || "";
  } catch {
    return ""; // not allowed, as in a file
  }
}

/** Dark or light: as the system says, unless it is chosen. */
export function Theme() {
  const [theme, set] = useState(remembered());
  useEffect(() => {
    if (theme) document.documentElement.dataset.theme = theme;
    else delete document.documentElement.dataset.theme;
    dispatchEvent(new Event("vigil-theme"));
    try {
      if (theme) localStorage.setItem(key, theme);
      else localStorage.removeItem(key);
    } catch {
      /* not allowed: it lasts as long as the page */
    }
  }, [theme]);
  return (
    <label class="theme">
      <span class="hidden">Colours</span>
      <select value={theme} onChange={(e) => set(e.currentTarget.value)}>
        <option value="">as the system</option>
        <option value="light">light</option>
        <option value="dark">dark</option>
      </select>
    </label>
  );
}
