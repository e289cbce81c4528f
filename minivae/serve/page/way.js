// The way from one code to another.
import {blob, json} from "./ask.js";
import {blank, draw, framesOf} from "./draw.js";

const STEPS = 61;
const FIRST = 15;       // frames that the film has room for before it is drawn

export class Way {
  #codes = [];
  #stale = false;
  #drawn = "";

  /** state: {code, label, kept}; changed: called after a step along the way. */
  constructor(model, state, changed) {
    Object.assign(this, {model, state, ends: {}});
    this.slider = document.getElementById("way");
    this.slider.max = STEPS - 1;
    this.slider.addEventListener("input", () => {
      const i = this.slider.valueAsNumber;
      if (!this.#codes.length) return;
      state.code = this.#codes[i].slice();
      if (!state.kept) state.label = this.#labelAt(i);
      changed();
    });
    blank(document.getElementById("way-film"), model, FIRST);
    for (const end of ["a", "b"]) {
      blank(document.getElementById(end), model);
      document.getElementById(`take-${end}`).addEventListener("click", () => {
        this.set(end, state);
        this.slider.value = end === "a" ? 0 : STEPS - 1;
        changed();
      });
    }
  }

  /** Makes {code, label} an end, "a" or "b", of the way. */
  set(end, {code, label}) {
    this.ends[end] = {code: code.slice(), label};
    this.#stale = true;
  }

  /** The class at a step; between two classes, the shares of all. */
  #labelAt(i) {
    const {a, b} = this.ends, part = i / (STEPS - 1);
    if (part === 0 || a.label === b.label) return a.label;
    if (part === 1) return b.label;
    const share = (label, k) => Array.isArray(label) ? label[k] : Number(label === k);
    return Array.from({length: this.model.classes}, (_, k) => (1 - part) * share(a.label, k) + part * share(b.label, k));
  }

  /** Draws the ends and the film between them, where something about them is new. */
  async *films() {
    const {a, b} = this.ends, kept = this.state.kept ? this.state.label : null, film = document.getElementById("way-film");
    const frames = framesOf(film, this.model);
    if (!(this.#stale || this.#drawn !== `${frames} ${kept}`)) return;
    if (this.#stale) this.#codes = (await json("/api/between", {a: a.code, b: b.code, steps: STEPS})).codes;
    this.#stale = false;
    const chosen = Array.from({length: frames}, (_, i) => Math.round((i + 0.5) / frames * (STEPS - 1)));
    await draw(film, await this.#decoded(chosen, kept));
    for (const [id, i] of [["a", 0], ["b", STEPS - 1]]) {
      await draw(document.getElementById(id), await this.#decoded([i], kept));
    }
    this.#drawn = `${frames} ${kept}`;
    yield;
  }

  #decoded(steps, kept) {
    const classes = this.model.classes ? steps.map((i) => kept ?? this.#labelAt(i)) : undefined;
    return blob("/api/decode", {codes: steps.map((i) => this.#codes[i]), classes});
  }
}
