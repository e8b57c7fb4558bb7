// The images of a block: loaded before it begins, a few at a time, and decoded before each onset.

import { rounded, wait } from "./timing.js";

const AT_ONCE = 4;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;
const SLOW_AFTER = 3; // tries of one image

export class Images {
  #loaded = new Map();
  #retries = 0;

  /** Loads images, and tries each until it is there. progress(loaded, all), slow(). */
  async preload(names, progress, slow) {
    const begun_ms = performance.now();
    const waiting = [...new Set(names)];
    const all = waiting.length;
    performance.setResourceTimingBufferSize?.(all + 250);
    progress(0, all);
    const load = async () => {
      while (waiting.length) {
        const name = waiting.shift();
        this.#loaded.set(name, await this.#load(name, slow));
        progress(this.#loaded.size, all);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, load));
    return this.#report(all, performance.now() - begun_ms);
  }

  async #load(name, slow) {
    for (let tries = 1; ; tries++) {
      const image = new Image();
      image.alt = "";
      image.decoding = "sync";
      image.draggable = false;
      image.src = `/images/${name}`;
      try {
        await image.decode();
        return image;
      } catch {
        this.#retries++;
        if (tries >= SLOW_AFTER) slow();
        const longest_ms = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** tries);
        await wait(longest_ms * (0.5 + Math.random() / 2));
      }
    }
  }

  /** The images of a trial, in the order asked, decoded: a browser may have dropped that. */
  async decoded(names) {
    const used = new Set();
    return Promise.all(names.map(async (name) => {
      const again = used.has(name);
      used.add(name);
      const image = this.#loaded.get(name);
      const own = again ? image.cloneNode() : image; // an element has one place
      const isDecoded = await own.decode().then(() => true, () => false);
      return isDecoded ? own : this.#load(name, () => {});
    }));
  }

  #report(all, total_ms) {
    const files = performance
      .getEntriesByType("resource")
      .filter((entry) => new URL(entry.name).pathname.startsWith("/images/"));
    const times_ms = files.map((file) => file.duration);
    return {
      images: all,
      retries: this.#retries,
      total_ms: rounded(total_ms),
      slowest_ms: rounded(Math.max(0, ...times_ms)),
      bytes: files.reduce((sum, file) => sum + (file.encodedBodySize || 0), 0),
    };
  }
}
