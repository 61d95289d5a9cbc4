// @ts-check
/** The user's stored choices: the language and the theme. Without storage in the browser, the defaults apply. */

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
    // Without storage the choice applies until the page is closed.
  }
}

/** Returns true if the theme is dark, by the user's choice or by the system's setting. */
export function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

/** Applies the stored theme. */
export function startTheme() {
  const chosen = recall("theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
}

/** Changes the theme from light to dark or back. */
export function switchTheme() {
  const next = isDark() ? "light" : "dark";
  document.documentElement.dataset.theme = next;
  remember("theme", next);
}
