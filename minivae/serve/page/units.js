// The sliders: one for each number of the code that is shown, on a film of what it does.
import {blob} from "./ask.js";
import {drawRows, make} from "./draw.js";

const WIDE = 3;         // standard deviations of the prior to either side of 0
const FRAMES = 9;
const STEP = 12;        // sliders that are shown more at once
const PATIENCE = 30;    // milliseconds that a request for films should take, so that the picture need not wait longer

export class Units {
  #shown = [];
  #range = WIDE;
  #batch = STEP;

  /** model: the server's facts; state: {code, label}; changed: called after a slider has moved. */
  constructor(model, state, changed) {
    Object.assign(this, {model, state, changed});
    this.place = document.getElementById("units");
    this.button = document.getElementById("more");
    this.button.addEventListener("click", () => { this.more(); changed(); });
    const {active, code, judged_by} = model;
    document.getElementById("judged").textContent =
      `${active} of ${code} are active; the most active first, by ${judged_by}. Double-click a film to set its number back.`;
    this.more();
  }

  more() {
    const {order} = this.model;
    for (const unit of order.slice(this.#shown.length, this.#shown.length + STEP)) this.#add(unit);
    const left = order.length - this.#shown.length;
    this.button.hidden = left === 0;
    this.button.textContent = `Show ${Math.min(STEP, left)} more of ${left}`;
  }

  #add(unit) {
    const film = make("canvas"), value = make("output", {htmlFor: `unit-${unit}`});
    const slider = make("input", {type: "range", id: `unit-${unit}`, step: 0.01});
    slider.setAttribute("aria-label", `Number ${unit} of the code`);
    slider.addEventListener("input", () => {
      this.state.code[unit] = slider.valueAsNumber;
      value.textContent = slider.valueAsNumber.toFixed(2);
      this.changed();
    });
    slider.addEventListener("dblclick", () => {
      this.state.code[unit] = this.state.start.code[unit];
      this.changed();
    });
    const name = make("label", {htmlFor: slider.id, textContent: unit, title: `variance ${this.model.variance[unit]}`});
    this.place.append(make("div", {className: "unit"}, name, make("div", {className: "film"}, film, slider), value));
    this.#shown.push({unit, film, slider, value});
  }

  /** The sliders show the code. */
  follow() {
    const {code} = this.state;
    const largest = Math.max(...this.#shown.map(({unit}) => Math.abs(code[unit])));
    this.#range = Math.max(WIDE, Math.ceil(largest));
    for (const {unit, slider, value} of this.#shown) {
      slider.min = -this.#range;
      slider.max = this.#range;
      slider.value = code[unit];
      value.textContent = code[unit].toFixed(2);
    }
  }

  /** Draws the films, some at a time. */
  async *films() {
    const frames = Math.min(FRAMES, this.model.most);
    const values = Array.from({length: frames}, (_, i) => (2 * (i + 0.5) / frames - 1) * this.#range);
    for (let i = 0; i < this.#shown.length;) {
      const some = this.#shown.slice(i, i + Math.min(this.#batch, Math.floor(this.model.most / frames)));
      const began = performance.now();
      const png = await blob("/api/traverse", {
        code: this.state.code, class: this.state.label ?? undefined, numbers: some.map(({unit}) => unit), values,
      });
      await drawRows(some.map(({film}) => film), png);
      const took = performance.now() - began;
      this.#batch = Math.max(1, Math.min(2 * some.length, 4 * STEP, Math.round(some.length * PATIENCE / took)));
      i += some.length;
      yield;
    }
  }
}
