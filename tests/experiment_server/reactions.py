"""Reaction times as the page records them, against key events at known moments.

The images' appearance is timed by the browser's own paint clock (Element Timing), not by ours; the
key event is made so many ms after it, in the page.
"""

from __future__ import annotations

from collections.abc import Sequence

from visitors import Visitor

DELAYS_MS = (150, 233, 291, 310, 347, 402, 455, 513, 590, 640)

TIME_IMAGES = """
new MutationObserver((changes) => {
  for (const image of document.querySelectorAll(".query img")) image.elementTiming = "query";
}).observe(document, { childList: true, subtree: true });
window.painted = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) window.painted.push(entry.renderTime);
}).observe({ type: "element", buffered: true });
"""
_PRESS = """async (delay_ms) => {
  const later = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  while (!window.painted.length) await later(2);
  const painted_ms = Math.min(...window.painted);
  while (performance.now() < painted_ms + delay_ms - 12) await later(4);
  let now_ms = performance.now();
  while (now_ms < painted_ms + delay_ms) now_ms = performance.now();
  document.dispatchEvent(new KeyboardEvent("keydown", { key: "f", code: "KeyF", bubbles: true }));
  window.painted = [];
  return now_ms - painted_ms;
}"""


def react(visitor: Visitor, delays_ms: Sequence[float]) -> list[float]:
    """Recorded minus true reaction time (ms) of one trial a delay, in the main part."""
    visitor.page.add_init_script(TIME_IMAGES)
    visitor.skip_to_practice()
    visitor.begin()
    true_ms = []
    for number, delay_ms in enumerate(delays_ms):
        visitor.see_trial(number)
        true_ms.append(visitor.page.evaluate(_PRESS, delay_ms))
    visitor.at_screen("Almost done")
    recorded_ms = [response.rt_ms for response in visitor.server.responses()]
    return [one - other for one, other in zip(recorded_ms, true_ms, strict=True)]
