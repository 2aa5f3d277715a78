const STORED = "imagetasks:theme";

/** Light or dark: the system's, until the user has chosen. Returns what changes between the two. */
export function createTheme(storage) {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const chosen = storage.getItem(STORED);
  if (chosen) root.dataset.theme = chosen;
  return () => {
    const now = root.dataset.theme ?? (dark.matches ? "dark" : "light");
    root.dataset.theme = now === "dark" ? "light" : "dark";
    storage.setItem(STORED, root.dataset.theme);
  };
}
