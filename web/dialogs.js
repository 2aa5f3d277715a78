/** Questions of the page. */

/** Asks for a token or key until something is entered: `{ secret, maxCredits }`. */
export function createAccessDialog(dialog) {
  const form = dialog.querySelector("form"), error = dialog.querySelector("[data-error]");
  let entered;
  form.addEventListener("submit", () => {
    const { secret, credits } = form.elements;
    entered?.({ secret: secret.value.trim(), maxCredits: Number(credits.value) });
    entered = undefined;
    secret.value = "";
  });
  // Nothing works without, and browsers close a dialog at the second Esc whatever its page says.
  dialog.addEventListener("close", () => entered && dialog.showModal());
  return (problem) => {
    Object.assign(error, { textContent: problem, hidden: !problem });
    dialog.showModal();
    return new Promise((resolve) => (entered = resolve));
  };
}

/** Asks yes or no; `yes` is the word on the button. */
export function createQuestion(dialog) {
  return (title, text, yes) =>
    new Promise((resolve) => {
      dialog.querySelector("h2").textContent = title;
      dialog.querySelector("p").textContent = text;
      dialog.querySelector("[value=yes]").textContent = yes;
      dialog.returnValue = "no";
      dialog.showModal();
      dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
    });
}
