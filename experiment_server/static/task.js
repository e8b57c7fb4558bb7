// The task: the trials of one block (a round of practice, or the main part), one after the other.
// Which answer is right is known to the server alone, which says so after a practice trial only.

import { Images } from "./images.js";
import { backOff_ms, csrfToken, Outbox } from "./outbox.js";
import { choose, rate, whenPressed } from "./responses.js";
import { Display } from "./display.js";
import { rounded, show, sinceEpoch, wait, Watch } from "./timing.js";

const display = new Display();
const images = new Images();
const leave = () => location.replace("/study");
const outbox = new Outbox(display.participant, { trouble: (is) => display.offline(is), leave });

window.addEventListener("offline", () => display.offline(true));
window.addEventListener("online", () => display.offline(false)); // until sending fails all the same
window.addEventListener("pageshow", (event) => event.persisted && location.reload());
run().catch((error) => {
  console.error(error);
  setTimeout(leave, 2000); // nothing is lost: the server knows where the participant is
});

async function run() {
  await outbox.empty(); // answers of an earlier visit come first
  const block = await loadBlock();
  if (block.stage !== display.stage) return leave();
  display.prepare(block);
  await loadImages(block);
  await display.begun(block);
  for (const trial of block.trials) await runTrial(trial, block);
  display.saving();
  await outbox.empty();
  leave();
}

/** The server's state; tries until there is one. */
async function loadBlock() {
  for (let failures = 0; ; failures++) {
    try {
      const answer = await fetch("/task/state", { cache: "no-store" });
      if ([401, 410].includes(answer.status)) return {};
      if (answer.ok) {
        display.offline(false);
        return await answer.json();
      }
    } catch {
      // No connection: try again.
    }
    display.offline(true);
    await wait(backOff_ms(failures));
  }
}

async function loadImages(block) {
  const names = block.trials.flatMap(imagesOf);
  const report = await images.preload(names, display.loaded, display.slow);
  fetch("/task/preload", {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-CSRFToken": csrfToken() },
    body: JSON.stringify({ report: { stage: block.stage, round: block.round, ...report } }),
  }).catch(() => {}); // a report, not data: the study goes on without it
}

const imagesOf = ({ base, queries, references }) => [
  ...queries,
  ...(base === null ? [] : [base]),
  ...references,
];

async function runTrial(trial, block) {
  const decode_ms = await bringIn(trial, block);
  const onset_ms = await show(() => display.shown());
  const watch = new Watch(onset_ms);
  const choice = await choose(display, onset_ms);
  const disturbances = watch.end();
  display.chosen(choice.side);
  const confidence = await rate(display, block.confidence_levels, onset_ms);
  const response = {
    trial_index: trial.trial_index,
    trial_id: trial.trial_id,
    response_side: choice.side,
    confidence: confidence.level,
    rt_ms: rounded(choice.event_time_ms - onset_ms),
    shown_at_ms: sinceEpoch(onset_ms),
    responded_at_ms: sinceEpoch(choice.event_time_ms),
    timing: {
      onset_frame_ms: rounded(onset_ms),
      ...choice.timing,
      ...disturbances,
      ...confidence.timing,
      ...display.sizes(),
      decode_ms,
    },
  };
  if (block.stage === "practice") await giveFeedback(response);
  else outbox.add(response);
  display.progress(trial.trial_index + 1, block);
}

/** The neutral gap, in which the next images are decoded and put in place, unseen. */
async function bringIn(trial, block) {
  const gap = wait(block.gap_ms);
  display.clear();
  const begun_ms = performance.now();
  const decoded = await images.decoded(imagesOf(trial));
  const decode_ms = rounded(performance.now() - begun_ms);
  await gap;
  display.place(decoded, trial);
  return decode_ms;
}

async function giveFeedback(response) {
  display.checking();
  const { feedback } = await outbox.add(response);
  if (feedback === null) return;
  display.feedback(response.response_side, feedback.favored_side);
  await whenPressed(display.continueButton);
}
