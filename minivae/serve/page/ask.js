// Requests to the server, and when they are made.

/** The server's answer; what went wrong is an Error with the server's own words. */
export async function ask(path, body, kind = "application/json") {
  let answer;
  try {
    answer = await fetch(path, body === undefined ? {} : {
      method: "POST", headers: {"Content-Type": kind}, body: kind === "application/json" ? JSON.stringify(body) : body,
    });
  } catch {
    throw new Error("The server does not answer: has minivae serve ended?");
  }
  if (answer.ok) return answer;
  const said = await answer.text();
  let words = said;
  try { words = JSON.parse(said).error; } catch { /* the server's own plain text */ }
  throw new Error(words);
}

export const json = async (...request) => (await ask(...request)).json();
export const blob = async (...request) => (await ask(...request)).blob();

/**
 * Goes through what follows from a change, piece by piece; a newer change begins it anew after the piece in hand, so that
 * requests never queue up and the last change is the one that is seen.
 */
export class Follower {
  #version = 0;
  #running = false;

  /** pieces: an async generator function; busy: told whether there is something left; failed: what is done with an Error. */
  constructor(pieces, busy, failed) {
    Object.assign(this, {pieces, busy, failed});
  }

  async changed() {
    this.#version++;
    if (this.#running) return;
    this.#running = true;
    this.busy(true);
    let version;
    do {
      version = this.#version;
      try {
        for await (const piece of this.pieces()) {
          if (version !== this.#version) break;
        }
      } catch (error) {
        this.failed(error);
      }
    } while (version !== this.#version);
    this.#running = false;
    this.busy(false);
  }
}
