// What is on the screen of the task. It is laid out alike in every condition.

import { rounded } from "./timing.js";
import { whenPressed } from "./responses.js";

const byId = (id) => document.getElementById(id);
const otherSide = (side) => (side === "left" ? "right" : "left");

export class Display {
  #task = byId("task");
  #words = Object.fromEntries(
    [...byId("words").content.children].map((p) => [p.dataset.key, p.textContent]),
  );
  queries = { left: byId("left"), right: byId("right") };
  continueButton = byId("continue");
  confidenceGroup = byId("confidence");

  get participant() {
    return this.#task.dataset.participant;
  }

  get stage() {
    return this.#task.dataset.stage;
  }

  word(key) {
    return this.#words[`task.${key}`];
  }

  offline(is) {
    byId("banner").hidden = !is;
  }

  /** Lays out the places of a block: they stay where they are from trial to trial. */
  prepare(block) {
    const across = Math.ceil(Math.sqrt(block.grid));
    byId("references").classList.add(`by-${Math.min(across, 5)}`);
    byId("references").replaceChildren(
      ...Array.from({ length: block.grid }, () => {
        const place = document.createElement("div");
        place.className = "place";
        return place;
      }),
    );
    const hasBase = block.trials.some((trial) => trial.base !== null);
    byId("whole").hidden = !hasBase;
    this.#task.classList.toggle("has-base", hasBase);
    this.#describe(block);
    this.progress(block.next, block);
  }

  #describe({ stage, round, first, next }) {
    let words = stage;
    if (stage === "practice" && round > 1) words = "practice.again";
    if (stage === "main" && first === 0) words = "only";
    if (next > first) words = "resume";
    byId("start-title").textContent = this.word(`${words}.title`);
    byId("start-text").textContent = this.word(words);
    byId("begin").textContent = this.word(next > first ? "resume.start" : "start");
  }

  loaded = (count, all) => {
    byId("loaded").max = all;
    byId("loaded").value = count;
  };

  slow = () => {
    byId("loading-text").textContent = this.word("slow");
  };

  /** Resolves when the participant begins. */
  async begun() {
    byId("loading").hidden = true;
    byId("begin").disabled = false;
    byId("begin").focus();
    await whenPressed(byId("begin"));
    byId("start").hidden = true;
    byId("trial").hidden = false;
  }

  progress(next, { first, total }) {
    const done = next - first;
    byId("progress").max = total;
    byId("progress").value = done;
    byId("progress-text").textContent = this.word("progress")
      .replace("{done}", done)
      .replace("{total}", total);
  }

  /** The neutral gap: blank places. */
  clear() {
    this.#task.dataset.phase = "gap";
    for (const place of this.#places()) place.replaceChildren();
    for (const side of ["left", "right"]) {
      delete this.queries[side].dataset.frame;
      this.#verdict(side, "");
    }
    byId("feedback").textContent = "";
    this.continueButton.hidden = true;
    byId("keys").hidden = false;
  }

  #places() {
    return [this.queries.left, this.queries.right, byId("base"), ...byId("references").children];
  }

  /** Puts images in their places, still unseen: queries, base image, references. */
  place(images, trial) {
    const [left, right, base, ...references] = this.#places();
    const places = [left, right, ...(trial.base === null ? [] : [base]), ...references];
    images.forEach((image, at) => places[at].replaceChildren(image));
  }

  /** Makes all images of the trial visible, in one style change. */
  shown() {
    this.#task.dataset.phase = "shown";
  }

  enable(is) {
    for (const query of Object.values(this.queries)) query.disabled = !is;
  }

  chosen(side) {
    this.queries[side].dataset.frame = "chosen";
  }

  /** Shows the scale of confidence, or takes it away. */
  rating(is) {
    byId("keys").hidden = is;
    this.confidenceGroup.hidden = !is;
    if (is) this.confidenceGroup.focus();
  }

  checking() {
    byId("keys").hidden = true;
    byId("feedback").textContent = this.word("checking");
  }

  feedback(chosen, favored) {
    const right = chosen === favored;
    byId("feedback").textContent = this.word(right ? "right_answer" : "wrong_answer");
    this.queries[favored].dataset.frame = "favored";
    this.#verdict(favored, `✓ ${this.word("favored")}`, "favored");
    if (!right) {
      this.queries[chosen].dataset.frame = "other";
      this.#verdict(otherSide(favored), `✗ ${this.word("not_favored")}`, "other");
    }
    this.continueButton.hidden = false;
    this.continueButton.focus();
  }

  #verdict(side, text, mark = "") {
    byId(`${side}-verdict`).textContent = text;
    byId(`${side}-verdict`).dataset.mark = mark;
  }

  saving() {
    byId("trial").hidden = true;
    byId("saving").hidden = false;
  }

  /** Sizes on the screen, in CSS pixels. */
  sizes() {
    const image = this.queries.left.firstElementChild;
    return {
      query_side_px: rounded(image.getBoundingClientRect().width),
      natural_side_px: image.naturalWidth,
      viewport_width_px: window.innerWidth,
      viewport_height_px: window.innerHeight,
      device_pixel_ratio: window.devicePixelRatio,
    };
  }
}
