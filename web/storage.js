/**
 * `localStorage` or `sessionStorage`, as `area()` gives it. What it refuses, because it is full or the browser blocks
 * it, is kept in memory until the page ends; `onRefused` is called then.
 */
export function createStorage(area, onRefused = () => {}) {
  const memory = new Map();

  function attempt(action, instead) {
    try {
      return action(area());
    } catch {
      return instead;
    }
  }

  const stored = () => attempt((place) => Array.from({ length: place.length }, (_, n) => place.key(n)), []);
  const keys = () => [...stored(), ...memory.keys()];

  return {
    get length() {
      return keys().length;
    },
    key: (n) => keys()[n] ?? null,
    getItem: (key) => memory.get(key) ?? attempt((place) => place.getItem(key), null),
    setItem(key, value) {
      attempt((place) => place.removeItem(key)); // an older value must not come back
      memory.delete(key);
      if (attempt((place) => (place.setItem(key, value), true))) return;
      memory.set(key, value);
      onRefused();
    },
    removeItem(key) {
      memory.delete(key);
      attempt((place) => place.removeItem(key));
    },
  };
}

/** The JSON value under `key`, or undefined. */
export function readJson(storage, key) {
  try {
    return JSON.parse(storage.getItem(key)) ?? undefined;
  } catch {
    return undefined;
  }
}
