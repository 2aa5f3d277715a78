/** Questions of the page. */

/** Asks for a token or key until something is entered. */
export function createAccessDialog(dialog) {
  const form = dialog.querySelector("form"), error = dialog.querySelector("[data-error]");
  dialog.addEventListener("cancel", (event) => event.preventDefault()); // nothing works without
  return (problem) =>
    new Promise((resolve) => {
      Object.assign(error, { textContent: problem, hidden: !problem });
      dialog.showModal();
      const entered = (event) => {
        event.preventDefault();
        form.removeEventListener("submit", entered);
        const { secret, credits } = form.elements;
        resolve({ secret: secret.value, maxCredits: Number(credits.value) });
        secret.value = "";
        dialog.close();
      };
      form.addEventListener("submit", entered);
    });
}

/** Asks yes or no. */
export function createQuestion(dialog) {
  return (title, text) =>
    new Promise((resolve) => {
      dialog.querySelector("h2").textContent = title;
      dialog.querySelector("p").textContent = text;
      dialog.returnValue = "no";
      dialog.showModal();
      dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
    });
}
