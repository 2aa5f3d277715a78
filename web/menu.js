import { buttonsOf } from "./actions.js";

/** One menu for all cards, beside the button that opened it. */
export function createMenu(menu) {
  const items = () => [...menu.children];

  menu.addEventListener("keydown", (event) => {
    const at = items().indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 }[event.key];
    if (event.key === "Tab") menu.hidePopover();
    if (to === undefined) return;
    event.preventDefault();
    items().at(to % items().length)?.focus();
  });

  return {
    open(anchor, actions) {
      const choose = ({ run }) => {
        menu.hidePopover();
        anchor.focus();
        run();
      };
      menu.replaceChildren(...buttonsOf(actions, choose));
      for (const item of items()) item.setAttribute("role", "menuitem");
      menu.showPopover();
      const { left, bottom, top } = anchor.getBoundingClientRect();
      const { width, height } = menu.getBoundingClientRect();
      menu.style.left = `${Math.max(8, Math.min(left, innerWidth - width - 8))}px`;
      menu.style.top = `${bottom + height + 8 < innerHeight ? bottom + 4 : Math.max(8, top - height - 4)}px`;
      items()[0]?.focus();
    },
  };
}
