// The classes: the present code in each of them; one is the picture's, and may be kept.
import {blob} from "./ask.js";
import {blank, drawColumns, make} from "./draw.js";

export class Classes {
  #buttons = [];

  /**
   * model: the server's facts; state: {code, label, kept, start}, label a class or the shares of all; changed: called after
   * another class was chosen.
   */
  constructor(model, state, changed) {
    Object.assign(this, {model, state});
    document.getElementById("classes").hidden = !model.classes;
    for (let label = 0; label < model.classes; label++) {
      const button = make("button", {type: "button", className: "label"},
                          blank(make("canvas"), model), make("span", {textContent: model.class_names[label]}), make("i"));
      button.setAttribute("aria-label", `Class ${model.class_names[label]}`);
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
    const {label, kept, start} = this.state, mixed = Array.isArray(label);
    const shares = mixed ? label : start.probabilities;
    this.#buttons.forEach((button, i) => {
      button.setAttribute("aria-pressed", kept && label === i);
      button.classList.toggle("present", mixed ? label[i] > 0 : label === i);
      button.querySelector("i").style.transform = `scaleX(${shares?.[i] ?? 0})`;
      const name = this.model.class_names[i], percent = `${name}: ${(100 * (shares?.[i] ?? 0)).toFixed(1)}%`;
      button.title = mixed ? percent : shares ? `${percent} probable, as the model sees the image` : name;
    });
    document.getElementById("class-hint").textContent = kept
      ? `Whatever comes is of class ${this.model.class_names[label]}; press it again to let go.`
      : "Press a class: the picture is then of that class, and so is whatever comes, until you press it again.";
  }

  async *films() {
    if (!this.#buttons.length) return;
    const png = await blob("/api/classes", {code: this.state.code});
    await drawColumns(this.#buttons.map((button) => button.querySelector("canvas")), png);
    yield;
  }
}
