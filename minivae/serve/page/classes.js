// The classes: the present code in each of them; one is the picture's, and may be kept.
import {blob} from "./ask.js";
import {blank, drawColumns, make} from "./draw.js";

export class Classes {
  #buttons = [];

  /** model: the server's facts; state: {code, label, kept, start}; changed: called after another class was chosen. */
  constructor(model, state, changed) {
    Object.assign(this, {state});
    document.getElementById("classes").hidden = !model.classes;
    for (let label = 0; label < model.classes; label++) {
      const button = make("button", {type: "button", className: "label"},
                          blank(make("canvas"), model), make("span", {textContent: label}), make("i"));
      button.setAttribute("aria-label", `Class ${label}`);
      button.addEventListener("click", () => {
        state.kept = !(state.kept && state.label === label);
        state.label = state.kept ? label : state.start.label;
        changed();
      });
      this.#buttons.push(button);
    }
    document.getElementById("labels").append(...this.#buttons);
  }

  /** The buttons show which class it is, and whether it is kept. */
  follow() {
    const {label, kept, start} = this.state;
    this.#buttons.forEach((button, i) => {
      button.setAttribute("aria-pressed", kept && label === i);
      button.classList.toggle("present", label === i);
      const probability = start.probabilities?.[i] ?? 0;
      button.querySelector("i").style.transform = `scaleX(${probability})`;
      button.title = start.probabilities ? `${(100 * probability).toFixed(1)}% probable, as the model sees the image` : "";
    });
    document.getElementById("class-hint").textContent = kept
      ? `Whatever comes is of class ${label}; press it again to let go.`
      : "Press a class: the picture is then of that class, and so is whatever comes, until you press it again.";
  }

  async *films() {
    if (!this.#buttons.length) return;
    const png = await blob("/api/classes", {code: this.state.code});
    await drawColumns(this.#buttons.map((button) => button.querySelector("canvas")), png);
    yield;
  }
}
