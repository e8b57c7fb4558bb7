"use strict";
// Elements of every page. Names are text: they are never read as HTML.
{
  let masked = 0;

  // element("a", { href: "#/", class: "x" }, "text", child): an attribute of null is left out.
  Gallery.element = (tag, attributes = {}, ...children) => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value !== null && value !== undefined) made.setAttribute(name, value);
    }
    made.append(...children.filter((child) => child !== null && child !== undefined));
    return made;
  };

  // A picture that fades from the whole image to the masked one: the whole image lies under the
  // masked one and goes. `path` is that of the whole image.
  Gallery.stack = (path, [width, height], alt, eager = false) => {
    const loading = eager ? "eager" : "lazy";
    const whole = Gallery.element("img", { class: "whole", src: path, alt, width, height, loading });
    const above = Gallery.element("img", { class: "masked", alt: "", width, height, loading });
    above.dataset.later = path.replace(/\.webp$/, "-masked.webp");
    if (masked > 0) fetchMasked(above);
    whole.addEventListener("error", () => whole.parentNode.classList.add("broken"));
    return Gallery.element("div", { class: "stack" }, whole, above);
  };

  const fetchMasked = (image) => {
    image.src = image.dataset.later;
    delete image.dataset.later;
  };

  Gallery.masked = () => masked;

  Gallery.setMasked = (share) => {
    masked = Math.min(1, Math.max(0, share));
    document.documentElement.style.setProperty("--masked", masked);
    for (const slider of document.querySelectorAll("input.masking")) slider.value = 100 * masked;
    if (masked > 0) document.querySelectorAll("img[data-later]").forEach(fetchMasked);
  };

  Gallery.slider = () => {
    const input = Gallery.element("input", { type: "range", min: 0, max: 100, step: 1, class: "masking" });
    input.value = 100 * masked;
    input.addEventListener("input", () => Gallery.setMasked(input.value / 100));
    input.addEventListener("change", () => Gallery.keepAddress());
    const ends = Gallery.element("span", { class: "ends", "aria-hidden": "true" },
      Gallery.element("span", {}, "whole image"), Gallery.element("span", {}, "masked"));
    return Gallery.element("label", { class: "slider" },
      Gallery.element("span", { class: "heading" }, "Transparency"), input, ends);
  };

  // Links to the networks and to the methods; `to(column)` is the address with another column.
  Gallery.choices = (column, unit, to) => {
    const there = (one) => !unit || Gallery.seeds(unit, one).length > 0;
    const row = (heading, kind, other, all) => {
      const links = all.map((item) => {
        const columns = Gallery.data.columns.filter((one) => one[kind] === item && there(one));
        const target = columns.find((one) => one[other] === column[other]) ?? columns[0];
        if (!target) return Gallery.element("span", { class: "off" }, item.name);
        const current = item === column[kind] ? "true" : null;
        return Gallery.element("a", { href: to(target), "aria-current": current }, item.name);
      });
      return Gallery.element("nav", { "aria-label": heading, class: "choice" },
        Gallery.element("span", { class: "heading" }, heading), ...links);
    };
    return [row("Network", "network", "method", Gallery.data.networks),
      row("Method", "method", "network", Gallery.data.methods)];
  };

  // What was measured of a picture; `only` names the few that a small place has room for.
  Gallery.measures = (picture, only) => {
    const known = Gallery.data.measures
      .map((name, place) => [name, picture.measures[place]])
      .filter(([, value]) => value !== null);
    const chosen = only ? known.filter(([name]) => only.includes(name)) : known;
    const rows = chosen.length ? chosen : known.slice(0, 3);
    if (!rows.length) return null;
    const pairs = rows.flatMap(([name, value]) => [
      Gallery.element("dt", {}, name.replaceAll("_", " ")), Gallery.element("dd", {}, String(value))]);
    return Gallery.element("dl", { class: "measures" }, ...pairs);
  };

  Gallery.heading = (unit) => {
    const rest = unit.label.split(",").slice(1).join(",").trim();
    const number = unit.index === null ? null : "No. " + unit.index;
    return [Gallery.element("h1", { tabindex: -1 }, unit.name),
      Gallery.element("p", { class: "lead" }, [rest, number].filter(Boolean).join(" · "))];
  };

  // The way on: back to the wall, and to the units before and after.
  Gallery.way = (unit, to, also) => {
    const [before, after] = [-1, 1].map((step) => Gallery.neighbour(unit, step));
    return Gallery.element("nav", { class: "way", "aria-label": "Ways on" },
      Gallery.element("a", { href: Gallery.wallAddress(), class: "back" }, "All pictures"),
      also,
      Gallery.element("span", { class: "on" },
        Gallery.element("a", { href: to(before), rel: "prev" }, "← ", before.name),
        Gallery.element("a", { href: to(after), rel: "next" }, after.name, " →")));
  };
}
