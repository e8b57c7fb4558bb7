// What a participant does in a trial: a choice by click or key, and how sure they are.

import { rounded } from "./timing.js";

const SIDE_OF_KEY = { f: "left", j: "right", ArrowLeft: "left", ArrowRight: "right" };
const SIDE_OF_CODE = { KeyF: "left", KeyJ: "right" }; // where the keyboard has no Latin letters

/** Resolves when a button is pressed, by whatever means. */
export function whenPressed(button) {
  return new Promise((resolve) => button.addEventListener("click", resolve, { once: true }));
}

/** The choice. The queries answer from here on, so never before their onset. */
export function choose(display, onset_ms) {
  return new Promise((resolve) => {
    const listening = new AbortController();
    const { signal } = listening;
    let press_ms = null;
    let repeats = 0;
    const take = (side, event, input) => {
      if (event.timeStamp < onset_ms) return; // it was meant for what was there before
      listening.abort();
      display.enable(false);
      resolve({ side, event_time_ms: event.timeStamp, timing: figures(event, input) });
    };
    const figures = (event, input) => ({
      event_time_ms: rounded(event.timeStamp),
      handler_ms: rounded(performance.now()),
      input,
      code: event.code ?? null,
      is_trusted: event.isTrusted,
      repeats,
      press_ms,
    });
    for (const [side, query] of Object.entries(display.queries)) {
      query.addEventListener("pointerdown", (e) => (press_ms = rounded(e.timeStamp)), { signal });
      query.addEventListener("click", (e) => take(side, e, inputOfClick(e)), { signal });
    }
    const onKey = (event) => {
      const side = sideOfKey(event);
      if (!side) return;
      event.preventDefault();
      if (event.repeat) repeats++;
      else take(side, event, "key");
    };
    document.addEventListener("keydown", onKey, { signal });
    display.enable(true);
  });
}

function sideOfKey(event) {
  if (event.ctrlKey || event.altKey || event.metaKey) return undefined;
  return SIDE_OF_KEY[event.key.length === 1 ? event.key.toLowerCase() : event.key]
    ?? SIDE_OF_CODE[event.code];
}

/** "mouse", "touch", "pen", or "button" for Enter and Space on a focused query. */
function inputOfClick(event) {
  if (event.detail === 0) return "button";
  return event.pointerType || "mouse";
}

/** How sure the participant is, from 1 to `levels`; nothing where it is not asked. */
export async function rate(display, levels, onset_ms) {
  if (!levels) return { level: null, timing: {} };
  const group = display.confidenceGroup;
  const event = await new Promise((resolve) => {
    const listening = new AbortController();
    const take = (level, source) => {
      listening.abort();
      resolve({ level, at_ms: source.timeStamp });
    };
    group.replaceChildren(...scale(display, levels, take));
    const onKey = (pressed) => {
      const level = Number(pressed.key) || Number(pressed.code.replace(/^(Digit|Numpad)/, ""));
      if (!pressed.repeat && level >= 1 && level <= levels) take(level, pressed);
    };
    document.addEventListener("keydown", onKey, { signal: listening.signal });
    display.rating(true);
  });
  display.rating(false);
  return { level: event.level, timing: { confidence_ms: rounded(event.at_ms - onset_ms) } };
}

function scale(display, levels, take) {
  const buttons = Array.from({ length: levels }, (_, at) => {
    const button = document.createElement("button");
    button.textContent = at + 1;
    button.addEventListener("click", (event) => take(at + 1, event));
    return button;
  });
  const ends = { 0: "confidence.low", [levels - 1]: "confidence.high" };
  for (const [at, word] of Object.entries(ends)) {
    buttons[at].setAttribute("aria-label", `${Number(at) + 1}, ${display.word(word)}`);
  }
  const said = (word) => {
    const span = document.createElement("span");
    span.textContent = display.word(word);
    return span;
  };
  return [said("confidence"), said("confidence.low"), ...buttons, said("confidence.high")];
}
