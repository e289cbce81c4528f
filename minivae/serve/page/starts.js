// Where a walk begins: an image of the data, an own picture, a draw of the prior.
import {ask, json} from "./ask.js";
import {make} from "./draw.js";

const THUMBS = 12;

/** The start of a walk at a picture's code. name: for people; png: the picture's bytes. */
async function encoded(name, png, invert = false) {
  const {code, probabilities, seen, reconstruction} = await json(`/api/encode${invert ? "?invert" : ""}`, png,
                                                                 png.type || "application/octet-stream");
  const label = probabilities ? probabilities.indexOf(Math.max(...probabilities)) : null;
  return {name: invert ? `${name}, light and dark swapped` : name, code, label, probabilities, seen, reconstruction};
}

/** A draw of the prior. */
export async function sampled(model, seed = Math.floor(Math.random() * 2 ** 32)) {
  const {code} = await json(`/api/samples/${seed}`);
  const label = model.classes ? Math.floor(Math.random() * model.classes) : null;
  return {name: `sample, seed ${seed}`, code, label};
}

const nameOf = (index) => `test image ${index}`;

/** One of the model's images. */
export async function ofData(index) {
  return encoded(nameOf(index), await (await ask(`/api/images/${index}.png`)).blob());
}

export class Starts {
  #own = null;

  /** model: the server's facts; began: called with a promise of a start. */
  constructor(model, began) {
    Object.assign(this, {model, began});
    this.thumbs = document.getElementById("thumbs");
    this.thumbs.classList.remove("waiting");
    this.invert = document.getElementById("invert");
    const others = document.getElementById("others"), file = document.getElementById("file");
    others.hidden = model.images <= THUMBS;
    others.addEventListener("click", () => this.show(() => Math.floor(Math.random() * model.images)));
    document.getElementById("own").addEventListener("click", () => file.click());
    file.addEventListener("change", () => { this.take(file.files[0]); file.value = ""; });
    this.invert.addEventListener("change", () => { if (this.#own) this.take(this.#own); });
    this.#dropping();
    const count = Math.min(THUMBS, model.images);
    this.show((i) => Math.floor(i * model.images / count));
  }

  /** Shows images to start from, chosen by `which`. */
  show(which) {
    const count = Math.min(THUMBS, this.model.images);
    this.thumbs.replaceChildren(...Array.from({length: count}, (_, i) => {
      const index = which(i), button = make("button", {type: "button", className: "thumb"});
      button.append(make("img", {src: `/api/images/${index}.png`, alt: `Test image ${index}`}));
      button.addEventListener("click", () => { this.forget(); this.began(ofData(index)); });
      button.dataset.name = nameOf(index);
      return button;
    }));
  }

  /** Marks the image, if it is one of those that are shown, at which a walk began. */
  mark({name}) {
    for (const button of this.thumbs.children) button.setAttribute("aria-current", button.dataset.name === name);
  }

  /** Begins at a file. */
  take(file) {
    if (!file) return;
    this.#own = file;
    const limit = this.model.upload;
    if (file.size > limit) {
      const sizes = `${Math.ceil(file.size / 2 ** 20)} MB, but may have ${limit / 2 ** 20}`;
      this.began(Promise.reject(new Error(`${file.name} has ${sizes}: make it smaller`)));
      return;
    }
    const png = file.type.startsWith("image/") ? file : new Blob([file]);
    this.began(encoded(file.name || "pasted picture", png, this.invert.checked));
  }

  /** Leaves the own picture: swapping light and dark does not bring it back. */
  forget() {
    this.#own = null;
  }

  #dropping() {
    const over = (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      document.body.classList.toggle("dropping", event.type === "dragover");
      if (event.type === "drop") this.take(event.dataTransfer.files[0]);
    };
    for (const type of ["dragover", "dragleave", "drop"]) document.addEventListener(type, over);
    document.addEventListener("paste", (event) => {
      const file = event.clipboardData?.files[0];
      if (file) this.take(file);
    });
  }
}
