// The hooks of React that `useTask` uses, for one component: effects run after a rendering if a dependency has
// changed, and their clean-up before the next one and at the end.
let component, slots, position, queued;

export function render(body) {
  slots = [];
  component = body;
  rerender();
  return { rerender, unmount: () => slots.forEach((slot) => slot.cleanUp?.()) };
}

function rerender() {
  position = 0;
  queued = [];
  component();
  for (const run of queued) run();
}

function slot(initial) {
  const index = position++;
  return (slots[index] ??= initial());
}

export function useState(initial) {
  const own = slot(() => ({ value: initial }));
  const set = (change) => {
    own.value = typeof change === "function" ? change(own.value) : change;
    rerender();
  };
  return [own.value, set];
}

export const useRef = (initial) => slot(() => ({ current: initial }));

export const useCallback = (action) => slot(() => ({ action })).action;

export function useEffect(effect, dependencies) {
  const own = slot(() => ({}));
  const changed = !dependencies || dependencies.some((each, n) => !Object.is(each, own.dependencies?.[n]));
  if (!changed) return;
  own.dependencies = dependencies ?? [];
  queued.push(() => {
    own.cleanUp?.();
    own.cleanUp = effect();
  });
}
