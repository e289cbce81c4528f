// The sliders, each on a film of what it does to the picture.
import {blob} from "./ask.js";
import {drawRows, make} from "./draw.js";

const WIDE = 3;         // to either side of 0; more where a code lies farther out
const FRAMES = 9;
const STEP = 12;        // sliders that are shown more at once
const PATIENCE = 30;    // milliseconds that a request for films should take, so that the picture need not wait longer

export class Sliders {
  #shown = [];
  #range = WIDE;
  #batch = STEP;

  /** model: the server's facts; state: {code, label, start}; kinds: axes to choose from; changed: called after a move. */
  constructor(model, state, kinds, changed) {
    Object.assign(this, {model, state, changed});
    this.place = document.getElementById("sliders");
    this.button = document.getElementById("more");
    this.button.addEventListener("click", () => { this.#more(); changed(); });
    for (const choice of document.querySelectorAll("[name=axes]")) {
      const axes = kinds.find(({name}) => name === choice.value);
      choice.disabled = axes.order.length === 0;
      choice.addEventListener("change", () => { this.#choose(axes); changed(); });
      if (choice.checked = axes === (kinds.find(({order}) => order.length))) this.#choose(axes);
    }
  }

  #choose(axes) {
    this.axes = axes;
    this.#shown = [];
    this.place.replaceChildren();
    document.getElementById("axes-hint").textContent = `${axes.hint} Double-click a film to go back.`;
    this.#more();
  }

  #more() {
    const {order} = this.axes;
    const some = order.slice(this.#shown.length, this.#shown.length + STEP).map((i) => this.#slider(i));
    this.#shown.push(...some);
    this.place.append(...some.map(({row}) => row));
    const left = order.length - this.#shown.length;
    this.button.hidden = left === 0;
    this.button.textContent = `Show ${Math.min(STEP, left)} more of ${left}`;
  }

  #slider(i) {
    const id = `slider-${i}`, film = make("canvas"), value = make("output", {htmlFor: id});
    const input = make("input", {type: "range", id, step: 0.01, title: this.axes.title(i)});
    input.setAttribute("aria-label", this.axes.title(i));
    input.addEventListener("input", () => this.#move(i, input.valueAsNumber));
    input.addEventListener("dblclick", () => this.#move(i, this.axes.value(this.state.start.code, i)));
    const row = make("div", {className: "slider"}, make("label", {htmlFor: id, textContent: this.axes.label(i)}),
                     make("div", {className: "film"}, film, input), value);
    return {i, row, film, input, value};
  }

  #move(i, value) {
    this.axes.set(this.state.code, i, value);
    this.changed();
  }

  /** The sliders show the code. */
  follow() {
    const values = this.#shown.map(({i}) => this.axes.value(this.state.code, i));
    this.#range = Math.max(WIDE, Math.ceil(Math.max(...values.map(Math.abs))));
    this.#shown.forEach(({input, value}, k) => {
      if (input.max !== `${this.#range}`) [input.min, input.max] = [-this.#range, this.#range];
      if (document.activeElement !== input || Math.abs(input.valueAsNumber - values[k]) > 0.011) input.value = values[k];
      value.textContent = (values[k] + 0).toFixed(2).replace(/^-0\.00$/, "0.00").replace("-", "−");
    });
  }

  /** Draws the films, some at a time. */
  async *films() {
    const {axes} = this, frames = Math.min(FRAMES, this.model.most);
    const values = Array.from({length: frames}, (_, i) => (2 * (i + 0.5) / frames - 1) * this.#range);
    for (let k = 0; k < this.#shown.length;) {
      const some = this.#shown.slice(k, k + Math.min(this.#batch, Math.floor(this.model.most / frames)));
      const began = performance.now();
      const png = await blob("/api/traverse", {
        code: this.state.code, class: this.state.label ?? undefined, axes: axes.name, which: some.map(({i}) => i), values,
      });
      await drawRows(some.map(({film}) => film), png);
      const took = performance.now() - began;
      this.#batch = Math.max(1, Math.min(2 * some.length, 4 * STEP, Math.round(some.length * PATIENCE / took)));
      k += some.length;
      yield;
    }
  }
}
