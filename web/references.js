/** The reference images of the next order: files, which are uploaded at once, and results of earlier tasks. */
export function createReferences({ client, strip, onChange, onError }) {
  let list = [];

  function changed() {
    strip.replaceChildren(...list.map(thumbnail));
    strip.hidden = !list.length;
    onChange();
  }

  function thumbnail(reference, index) {
    const figure = document.createElement("figure");
    const image = document.createElement("img");
    const remove = document.createElement("button");
    figure.dataset.state = reference.address ? "ready" : "uploading";
    Object.assign(image, { src: reference.preview, alt: `Reference ${index + 1}` });
    Object.assign(remove, { type: "button", textContent: "×" });
    remove.setAttribute("aria-label", `Remove reference ${index + 1}`);
    remove.addEventListener("click", () => {
      list = list.filter((each) => each !== reference);
      changed();
    });
    figure.append(image, remove);
    return figure;
  }

  async function addFile(file) {
    const reference = { preview: URL.createObjectURL(file) };
    list.push(reference);
    changed();
    try {
      reference.address = await client.storage.upload(file);
    } catch (error) {
      list = list.filter((each) => each !== reference);
      onError(error);
    }
    changed();
  }

  return {
    addFiles: (files) => [...files].filter((file) => file.type.startsWith("image/")).forEach(addFile),
    /** `address` is what an order takes; `preview` an address that the page can show. */
    add(address, preview) {
      list.push({ address, preview });
      changed();
    },
    set(references) {
      list = references;
      changed();
    },
    addresses: () => list.map(({ address }) => address).filter(Boolean),
    uploading: () => list.some(({ address }) => !address),
    count: () => list.length,
  };
}
