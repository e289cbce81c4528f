// The sliders, each on a film of what it does to the picture.
import {blob} from "./ask.js";
import {blank, drawRows, framesOf, make} from "./draw.js";

const WIDE = 3;         // to either side of 0; more where a code lies farther out
const FEW = 6;          // sliders up to which each is as wide as all
const KEYS = {ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1};
const FAR = 0.1, NEAR = 0.01;      // how far one of these moves a slider, without and with Shift
const FIRST = 9;        // frames that a film has room for before it is drawn
const STEP = 12;        // sliders that are shown more at once
const PATIENCE = 15;    // milliseconds that a request for films should take, so that the picture need not wait longer

export class Sliders {
  #shown = [];
  #range = WIDE;
  #batch = STEP;

  /** model: the server's facts; state: {code, label, start}; kinds: axes to choose from; changed: called after a move. */
  constructor(model, state, kinds, changed) {
    Object.assign(this, {model, state, changed});
    this.place = document.getElementById("sliders");
    this.button = document.getElementById("more");
    this.button.addEventListener("click", () => { this.#more(STEP); changed(); });
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
    document.getElementById("axes-hint").textContent = `${axes.hint} Double-click or Delete takes a slider back.`;
    this.#more(axes.first);
  }

  #more(count) {
    const {order} = this.axes;
    const some = order.slice(this.#shown.length, this.#shown.length + count).map((i) => this.#slider(i));
    this.#shown.push(...some);
    this.place.append(...some.map(({row}) => row));
    this.place.classList.toggle("few", this.#shown.length <= FEW);
    const left = order.length - this.#shown.length;
    this.button.hidden = left === 0;
    this.button.textContent = `Show ${Math.min(STEP, left)} more of ${left}`;
  }

  #slider(i) {
    const id = `slider-${i}`, film = blank(make("canvas"), this.model, FIRST), value = make("output", {htmlFor: id});
    const input = make("input", {type: "range", id, step: NEAR, title: this.axes.title(i)});
    input.setAttribute("aria-label", this.axes.title(i));
    input.addEventListener("input", () => this.#move(i, input.valueAsNumber));
    input.addEventListener("dblclick", () => this.#back(i));
    input.addEventListener("keydown", (event) => {
      const way = (KEYS[event.key] ?? 0) * (event.shiftKey ? NEAR : FAR);
      if (way) this.#move(i, this.axes.value(this.state.code, i) + way);
      else if (event.key === "Delete" || event.key === "Backspace") this.#back(i);
      else return;
      event.preventDefault();
    });
    const label = make("label", {htmlFor: id}, this.axes.label(i), make("small", {textContent: this.axes.note(i)}));
    const row = make("div", {className: "slider"}, label, make("div", {className: "film"}, film, input), value);
    return {i, row, film, input, value};
  }

  #move(i, value) {
    this.axes.set(this.state.code, i, value);
    this.changed();
  }

  /** Where the walk began, as far as this slider goes. */
  #back(i) {
    this.#move(i, this.axes.value(this.state.start.code, i));
  }

  /** The sliders show the code. */
  follow() {
    const values = this.#shown.map(({i}) => this.axes.value(this.state.code, i));
    this.#range = Math.max(WIDE, Math.ceil(Math.max(...values.map(Math.abs))));
    this.#shown.forEach(({input, value}, k) => {
      if (input.max !== `${this.#range}`) [input.min, input.max] = [-this.#range, this.#range];
      if (Math.abs(input.valueAsNumber - values[k]) > NEAR) input.value = values[k];      // not under a hand that holds it
      value.textContent = values[k].toFixed(2).replace(/^-0\.00$/, "0.00").replace("-", "−");
    });
  }

  /** Draws the films, some at a time. */
  async *films() {
    const {axes} = this, frames = framesOf(this.#shown[0].film, this.model);
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
