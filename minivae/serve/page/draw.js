// Pictures in canvases, pixel for pixel; how large they are shown is the style's.

/** A canvas with the proportions of what will be drawn there, images beside each other, so that nothing moves then. */
export function blank(canvas, {image_shape: [height, width]}, frames = 1) {
  canvas.width = frames * width;
  canvas.height = height;
  return canvas;
}

/** The whole of a PNG. */
export async function draw(canvas, png) {
  const bitmap = await createImageBitmap(png);
  canvas.width = bitmap.width;
  canvas.height = bitmap.height;
  canvas.getContext("2d").drawImage(bitmap, 0, 0);
  bitmap.close();
}

/** The rows of a PNG, each in a canvas of its own. */
export async function drawRows(canvases, png) {
  const bitmap = await createImageBitmap(png);
  const height = bitmap.height / canvases.length;
  canvases.forEach((canvas, i) => {
    canvas.width = bitmap.width;
    canvas.height = height;
    canvas.getContext("2d").drawImage(bitmap, 0, -i * height);
  });
  bitmap.close();
}

/** The columns of a PNG, each in a canvas of its own. */
export async function drawColumns(canvases, png) {
  const bitmap = await createImageBitmap(png);
  const width = bitmap.width / canvases.length;
  canvases.forEach((canvas, i) => {
    canvas.width = width;
    canvas.height = bitmap.height;
    canvas.getContext("2d").drawImage(bitmap, -i * width, 0);
  });
  bitmap.close();
}

/** How many frames a film has at its width on this screen. */
export function framesOf(film, {most}) {
  return Math.min(most, 15, Math.max(5, Math.round(film.clientWidth / 46)));
}

export function make(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}
