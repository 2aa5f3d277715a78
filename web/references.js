const TYPES = ["image/png", "image/jpeg", "image/webp"];

/**
 * The reference images of the next order: files, which are uploaded at once, and results of earlier tasks.
 * `previewOf(address)` is an address that the page can show for one that an order takes.
 */
export function createReferences({ client, strip, previewOf, onChange, onError }) {
  let list = [];
  let most = Infinity;

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
    Object.assign(image, { src: reference.preview, alt: `Reference ${index + 1}${reference.address ? "" : ", being uploaded"}` });
    Object.assign(remove, { type: "button", textContent: "×" });
    remove.setAttribute("aria-label", `Remove reference ${index + 1}`);
    remove.addEventListener("click", () => {
      drop(reference);
      strip.querySelector("button")?.focus();
    });
    figure.append(image, remove);
    return figure;
  }

  function drop(reference) {
    list = list.filter((each) => each !== reference);
    changed();
  }

  function hasRoom() {
    if (list.length < most) return true;
    onError(most ? `This model takes at most ${most === 1 ? "one reference" : `${most} references`}.` : "This model takes no references.");
    return false;
  }

  async function addFile(file) {
    if (!TYPES.includes(file.type)) return onError(`A reference is a PNG, JPEG or WebP. ${file.name} is none of them.`);
    if (!hasRoom()) return;
    const reference = { preview: URL.createObjectURL(file) };
    list.push(reference);
    changed();
    try {
      reference.address = await client.storage.upload(file);
      changed();
    } catch (error) {
      drop(reference);
      onError(`${file.name} could not be uploaded. ${error.message}`);
    }
  }

  return {
    addFiles: (files) => [...files].forEach(addFile),
    /** `address` is what an order takes. */
    add(address) {
      if (!hasRoom()) return;
      list.push({ address, preview: previewOf(address) });
      changed();
    },
    set(addresses) {
      list = addresses.map((address) => ({ address, preview: previewOf(address) }));
      changed();
    },
    /** The most that the model takes. */
    set most(count) {
      most = count;
    },
    addresses: () => list.map(({ address }) => address).filter(Boolean),
    uploading: () => list.some(({ address }) => !address),
    count: () => list.length,
  };
}
