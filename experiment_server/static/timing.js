// Onsets, frames and interruptions. All times are on the clock of performance.now(), in ms.

/** Makes a change in one frame. Resolves with the time of the frame after it: by then the change
 * has been painted, so this is its onset. While the page is hidden it waits. */
export function show(change) {
  return new Promise((resolve) => {
    requestAnimationFrame(() => {
      change();
      requestAnimationFrame(resolve);
    });
  });
}

export const wait = (duration_ms) => new Promise((resolve) => setTimeout(resolve, duration_ms));

/** A moment as milliseconds since 1970, by the browser's wall clock. */
export const sinceEpoch = (at_ms) => performance.timeOrigin + at_ms;

export const rounded = (value) => Math.round(value * 1000) / 1000;

export function median(values) {
  if (!values.length) return null;
  const sorted = Float64Array.from(values).sort();
  return sorted[sorted.length >> 1];
}

/** What disturbs a trial between its onset and the choice. */
export class Watch {
  #ended = new AbortController();
  #intervals = [];
  #last_ms;
  #counts = { hidden_events: 0, blur_events: 0, resize_events: 0 };

  constructor(onset_ms) {
    this.#last_ms = onset_ms;
    this.visibility_at_onset = document.visibilityState;
    const { signal } = this.#ended;
    document.addEventListener("visibilitychange", () => this.#hidden(), { signal });
    window.addEventListener("blur", () => this.#counts.blur_events++, { signal });
    window.addEventListener("resize", () => this.#counts.resize_events++, { signal });
    requestAnimationFrame((frame_ms) => this.#frame(frame_ms));
  }

  #hidden() {
    if (document.visibilityState === "hidden") this.#counts.hidden_events++;
    this.#last_ms = null; // a hidden page has no frames to drop
  }

  #frame(frame_ms) {
    if (this.#ended.signal.aborted) return;
    if (this.#last_ms !== null) this.#intervals.push(frame_ms - this.#last_ms);
    this.#last_ms = frame_ms;
    requestAnimationFrame((next_ms) => this.#frame(next_ms));
  }

  /** Ends the watch, and gives its figures. */
  end() {
    this.#ended.abort();
    const usual_ms = median(this.#intervals);
    let longest_ms = null;
    let dropped = 0;
    for (const interval_ms of this.#intervals) {
      longest_ms = Math.max(longest_ms, interval_ms);
      dropped += Math.max(0, Math.round(interval_ms / usual_ms) - 1);
    }
    return {
      ...this.#counts,
      visibility_at_onset: this.visibility_at_onset,
      onset_to_next_frame_ms: this.#intervals.length ? rounded(this.#intervals[0]) : null,
      frames: this.#intervals.length,
      frame_interval_median_ms: usual_ms === null ? null : rounded(usual_ms),
      frame_interval_max_ms: longest_ms === null ? null : rounded(longest_ms),
      dropped_frames: dropped,
    };
  }
}
