// @ts-check
/** What the reader chose for good: the language, light or dark. A browser that keeps nothing is as good as a new reader. */

/** @param {string} name */
export function recall(name) {
  try {
    return localStorage.getItem(`wa-sim.${name}`);
  } catch {
    return null;
  }
}

/**
 * @param {string} name
 * @param {string} value
 */
export function remember(name, value) {
  try {
    localStorage.setItem(`wa-sim.${name}`, value);
  } catch {
    // Then it lasts as long as the page.
  }
}

/** Whether the page is dark now, by choice or by the system's. */
export function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

/** Takes the theme that was chosen earlier. */
export function startTheme() {
  const chosen = recall("theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
}

/** Light to dark or back. */
export function switchTheme() {
  const next = isDark() ? "light" : "dark";
  document.documentElement.dataset.theme = next;
  remember("theme", next);
}
