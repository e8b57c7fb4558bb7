// Responses on their way to the server: kept in local storage until the server has them on disk,
// and posted one after the other, in the order of the trials.

import { sinceEpoch } from "./timing.js";

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;
const TIMEOUT_MS = 15_000;

export const csrfToken = () => document.querySelector('meta[name="csrf-token"]').content;

/** Between tries: twice as long each time, by a share of chance, so that not all come at once. */
export function backOff_ms(failures) {
  return Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** failures) * (0.5 + Math.random() / 2);
}

export class Outbox {
  #prefix;
  #pending = new Map(); // trial_index -> { response, stored(body) }
  #sending = false;
  #wake = () => {};
  #whenEmpty = [];
  #trouble;
  #leave;

  /** trouble(is): whether the server cannot be reached. leave(): this page is out of date. */
  constructor(participant, { trouble, leave }) {
    this.#prefix = `response:${participant}:`;
    this.#trouble = trouble;
    this.#leave = leave;
    for (const response of this.#kept()) this.#pending.set(response.trial_index, { response });
    window.addEventListener("online", () => this.#wake());
    this.#send();
  }

  /** Keeps a response and sends it; resolves with the server's acknowledgement. */
  add(response) {
    this.#keep(response);
    return new Promise((stored) => {
      this.#pending.set(response.trial_index, { response, stored });
      this.#send();
    });
  }

  /** Resolves when the server has everything. */
  empty() {
    if (!this.#pending.size) return Promise.resolve();
    return new Promise((resolve) => this.#whenEmpty.push(resolve));
  }

  async #send() {
    if (this.#sending) return;
    this.#sending = true;
    for (let failures = 0; this.#pending.size; ) {
      const index = Math.min(...this.#pending.keys());
      const answer = await this.#post(this.#pending.get(index).response);
      if (answer.status === 200) {
        failures = 0;
        this.#trouble(false);
        this.#settle(index, answer.body);
      } else if (this.#isFinal(answer, index)) {
        return; // the page is being left, and must send no more
      } else {
        this.#trouble(true);
        await this.#pause(answer.retry_ms ?? backOff_ms(failures++));
      }
    }
    this.#sending = false;
    for (const resolve of this.#whenEmpty.splice(0)) resolve();
  }

  async #post(response) {
    const now_ms = sinceEpoch(performance.now());
    const body = { ...response, sent_at_ms: Math.max(now_ms, response.responded_at_ms) };
    try {
      const answer = await fetch("/task/responses", {
        method: "POST",
        headers: { "Content-Type": "application/json", "X-CSRFToken": csrfToken() },
        body: JSON.stringify(body),
        keepalive: true,
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      const retry_s = Number(answer.headers.get("Retry-After"));
      return {
        status: answer.status,
        body: await answer.json().catch(() => ({})),
        retry_ms: retry_s > 0 ? retry_s * 1000 * (1 + Math.random() / 2) : undefined,
      };
    } catch {
      return { status: 0 };
    }
  }

  /** Whether the server refused for good: then the page must be loaded anew. */
  #isFinal({ status, body }, index) {
    if (status === 409 && body.error === "out_of_order") this.#forgetAll(); // an earlier one is gone
    else if ([409, 413, 422].includes(status)) this.#forget(index);
    else if (status === 410) this.#forgetAll();
    else if (![400, 401].includes(status)) return false;
    // 400: most likely a token of an earlier session. The copy stays, and is sent by the new page.
    setTimeout(this.#leave, status === 400 ? 2000 : 0);
    return true;
  }

  #settle(index, body) {
    const { stored } = this.#pending.get(index);
    this.#forget(index);
    stored?.(body);
  }

  #pause(duration_ms) {
    return new Promise((resolve) => {
      this.#wake = resolve;
      setTimeout(resolve, duration_ms);
    });
  }

  #keep(response) {
    try {
      localStorage.setItem(this.#prefix + response.trial_index, JSON.stringify(response));
    } catch {
      // Storage may be full or forbidden: then this page's memory is all there is.
    }
  }

  #kept() {
    try {
      return Object.keys(localStorage)
        .filter((key) => key.startsWith(this.#prefix))
        .map((key) => JSON.parse(localStorage.getItem(key)));
    } catch {
      return [];
    }
  }

  #forget(index) {
    this.#pending.delete(index);
    try {
      localStorage.removeItem(this.#prefix + index);
    } catch {
      // It was never stored.
    }
  }

  #forgetAll() {
    for (const index of [...this.#pending.keys()]) this.#forget(index);
  }
}
