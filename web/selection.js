/** The selected tasks: while the mode is on, a click on a card selects it. */
export function createSelection({ bar, filters, button, gallery, store }) {
  const ids = new Set();
  const part = (selector) => bar.querySelector(selector);
  let active = false;

  function show() {
    document.body.classList.toggle("selecting", active);
    bar.hidden = !active;
    filters.hidden = active;
    button.setAttribute("aria-pressed", active);
    part("output").textContent = `${ids.size} selected`;
    part("[data-action=zip]").disabled = ![...ids].some((id) => store.get(id)?.files.length);
    part("[data-action=delete-selected]").disabled = !ids.size;
  }

  store.onChange((id, task) => {
    if (!task && ids.delete(id)) show();
  });

  return {
    get active() {
      return active;
    },
    ids: () => [...ids],
    toggle(card) {
      const { task_id } = card.task;
      if (!ids.delete(task_id)) ids.add(task_id);
      card.checked = ids.has(task_id);
      show();
    },
    set(on) {
      for (const id of ids) gallery.cardFor(id).checked = false;
      ids.clear();
      active = on;
      show();
    },
  };
}
