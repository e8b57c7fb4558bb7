// The device: what it is, whether it will do, and what to do if it will not. Updated live.

import { median, rounded } from "./timing.js";

const FRAMES = 60;
const list = document.getElementById("checks");
const form = document.querySelector("form");
const words = Object.fromEntries(
  [...document.getElementById("words").content.children].map((p) => [p.dataset.key, p.textContent]),
);
const word = (key) => words[`device.${key}`];
let refresh_hz = null;
let measured = false;

function mark(check, state, found, fix = "") {
  const item = list.querySelector(`[data-check="${check}"]`);
  item.dataset.state = state;
  item.querySelector(".found").textContent = found;
  item.querySelector(".fix").textContent = fix;
  item.querySelector(".fix").hidden = !fix;
}

const sized = (sentence, width, height) =>
  sentence.replace("{width}", width).replace("{height}", height);

function checkWindow() {
  const wanted = [Number(list.dataset.width), Number(list.dataset.height)];
  const found = [window.innerWidth, window.innerHeight];
  const good = found.every((side, at) => side >= wanted[at]);
  const said = sized(word("window.is"), ...found);
  if (good) mark("window", "good", said);
  else mark("window", "bad", `${said} ${sized(word("window.wanted"), ...wanted)}`, word("window.fix"));
  return good;
}

function pointer() {
  if (matchMedia("(pointer: fine)").matches) return "mouse";
  if (matchMedia("(pointer: coarse)").matches) return "touch";
  return "unknown";
}

function checkPointer() {
  const found = pointer();
  const good = found === "unknown" || list.dataset.pointers.split(" ").includes(found);
  mark("pointer", good ? "good" : "bad", word(`pointer.${found}`), good ? "" : word("pointer.fix"));
  return good;
}

function check() {
  const suitable = [checkWindow(), checkPointer()].every(Boolean);
  mark("screen", measured ? "good" : "waiting", word(measured ? "screen.done" : "screen.measuring"));
  document.getElementById("continue").disabled = !(suitable && measured);
  document.getElementById("give-up").hidden = suitable;
}

/** The rate of the screen, from the median of some frames; null if the page is hidden meanwhile. */
function measureRefresh() {
  return new Promise((resolve) => {
    const frames = [];
    const frame = (at_ms) => {
      frames.push(at_ms);
      if (frames.length <= FRAMES) return requestAnimationFrame(frame);
      return resolve(1000 / median(frames.slice(1).map((ms, at) => ms - frames[at])));
    };
    requestAnimationFrame(frame);
    document.addEventListener("visibilitychange", () => resolve(null), { once: true });
  });
}

/** The smallest step of the clock, in ms. */
function timerResolution_ms() {
  let smallest = Infinity;
  for (let tries = 0; tries < 20; tries++) {
    const begun = performance.now();
    let now = begun;
    while (now === begun) now = performance.now();
    smallest = Math.min(smallest, now - begun);
  }
  return rounded(smallest);
}

function browser() {
  const brands = navigator.userAgentData?.brands ?? [];
  const known = brands.find(({ brand }) => /^(Google Chrome|Microsoft Edge|Opera)$/.test(brand))
    ?? brands.find(({ brand }) => brand === "Chromium");
  if (known) return `${known.brand} ${known.version}`;
  const agent = navigator.userAgent;
  const safari = agent.match(/Version\/(\d+).*Safari/);
  if (safari) return `Safari ${safari[1]}`;
  return agent.match(/(Firefox|Edg|OPR|Chrome)\/\d+/)?.[0].replace("/", " ") ?? null;
}

const platform = () => navigator.userAgentData?.platform
  ?? navigator.userAgent.match(/Windows|Android|iPhone|iPad|Mac OS X|Linux|CrOS/)?.[0]
  ?? null;

const report = () => ({
  viewport_width_px: window.innerWidth,
  viewport_height_px: window.innerHeight,
  screen_width_px: window.screen.width,
  screen_height_px: window.screen.height,
  device_pixel_ratio: window.devicePixelRatio,
  pointer: pointer(),
  browser: browser(),
  platform: platform(),
  refresh_hz: refresh_hz && rounded(refresh_hz),
  timer_resolution_ms: timerResolution_ms(),
  cross_origin_isolated: window.crossOriginIsolated,
});

window.addEventListener("resize", check);
form.addEventListener("submit", () => {
  document.getElementById("report").value = JSON.stringify(report());
});
check();
refresh_hz = await measureRefresh();
measured = true;
check();
