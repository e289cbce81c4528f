// The ways to move a code by sliders: its numbers one by one, or the directions in which the codes of images differ.
// Each has: name, for the server; order, of what is shown; first, how many of them at once; hint; label(i), note(i) and
// title(i); value(code, i); set(code, i, value).

const FIRST = 12;       // at most
const LEAST = 0.005;    // of the codes' variance, from which on a direction is shown at once

export function numbers(model) {
  return {
    name: "numbers",
    order: model.order,
    first: Math.max(1, Math.min(FIRST, model.active)),
    hint: `${model.active} of ${model.code} are active; the most active first, by ${model.judged_by}.`,
    label: (i) => `${i}`,
    note: () => "",
    title: (i) => `Number ${i} of the code, variance ${model.variance[i]}`,
    value: (code, i) => code[i],
    set: (code, i, value) => { code[i] = value; },
  };
}

export function directions(model, {centre, vectors, scales, share}) {
  const value = (code, i) => {
    let sum = 0;
    vectors[i].forEach((v, k) => { sum += v * (code[k] - centre[k]); });
    return sum / scales[i];
  };
  return {
    name: "directions",
    order: scales.map((_, i) => i),
    first: Math.max(1, Math.min(FIRST, share.filter((part) => part >= LEAST).length)),
    hint: `The directions in which the codes of ${model.judged_by} differ most; 1 is a standard deviation of theirs.`,
    label: (i) => `${i + 1}`,
    note: (i) => share[i] < LEAST ? "" : `${(100 * share[i]).toFixed(0)}%`,
    title: (i) => `Direction ${i + 1}, ${(100 * share[i]).toFixed(1)}% of the codes' variance`,
    value,
    set: (code, i, wanted) => {
      const way = (wanted - value(code, i)) * scales[i];
      vectors[i].forEach((v, k) => { code[k] += way * v; });
    },
  };
}
