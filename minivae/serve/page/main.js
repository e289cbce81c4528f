// The page: one code, from which everything that is shown follows.
import {directions, numbers} from "./axes.js";
import {blob, Follower, json} from "./ask.js";
import {Classes} from "./classes.js";
import {blank, draw} from "./draw.js";
import {Sliders} from "./sliders.js";
import {ofData, sampled, Starts} from "./starts.js";
import {Way} from "./way.js";

const find = (id) => document.getElementById(id);

/** What is looked at: the code, its class, whether that is kept, and where the walk began. */
const state = {code: [], label: null, kept: false, start: {code: [], name: ""}, png: null};

function say(words, bad = false) {
  find("status").textContent = words;
  find("status").classList.toggle("bad", bad);
}

function facts(model) {
  const [height, width, channels] = model.image_shape;
  blank(find("picture"), model);
  document.title = `${model.run} - minivae`;
  find("run").textContent = model.run;
  find("facts").textContent = [`${model.arch}, ${model.likelihood}`, `trained on ${model.data}`,
    `images of ${height} x ${width}${channels === 3 ? " in colour" : ""}`, `${model.code} numbers in a code`].join(" · ");
}

function showStart() {
  const {name, seen, reconstruction} = state.start;
  find("origin").textContent = name;
  find("pair").hidden = !seen;
  if (seen) [find("seen").src, find("again").src] = [seen, reconstruction];
}

function download(model) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(state.png);
  link.download = `${model.run}.png`;
  link.click();
  URL.revokeObjectURL(link.href);
}

async function open() {
  const model = await json("/api/model");
  facts(model);
  const follower = new Follower(
    pieces,
    (busy) => find("now").setAttribute("aria-busy", busy),
    (error) => { failed = true; say(error.message, true); },
  );
  const kinds = [directions(model, await json("/api/directions")), numbers(model)];
  const changed = () => { sliders.follow(); classes.follow(); follower.changed(); };
  const classes = new Classes(model, state, changed), sliders = new Sliders(model, state, kinds, changed);
  const way = new Way(model, state, changed);
  let failed = false;
  let latest = 0;

  async function* pieces() {
    state.png = await blob("/api/decode", {codes: [state.code], classes: model.classes ? [state.label] : undefined});
    await draw(find("picture"), state.png);
    if (failed) say("");
    failed = false;
    yield;
    for (const part of [classes, sliders, way]) yield* part.films();
  }

  function go() {
    state.code = state.start.code.slice();
    if (!state.kept) state.label = state.start.label;
    changed();
  }

  async function began(promise) {
    const mine = ++latest;
    try {
      const start = await promise;
      if (mine !== latest) return;
      state.start = start;
      say("");
      showStart();
      starts.mark(start);
      go();
    } catch (error) {
      if (mine === latest) say(error.message, true);
    }
  }

  const starts = new Starts(model, began);
  find("random").addEventListener("click", () => { starts.forget(); began(sampled(model)); });
  addEventListener("resize", () => follower.changed());
  find("reset").addEventListener("click", go);
  find("download").addEventListener("click", () => download(model));
  const ends = await Promise.all(model.images > 1 ? [ofData(0), ofData(1)] : [sampled(model, 0), sampled(model, 1)]);
  way.set("a", ends[0]);
  way.set("b", ends[1]);
  began(Promise.resolve(ends[0]));
}

open().catch((error) => say(error.message, true));
