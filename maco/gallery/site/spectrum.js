"use strict";
// Amplitude by frequency, on logarithmic axes, beside that of photographs.
{
  const STEPS_PER_OCTAVE = 2; // as in metrics/naturalness.py
  const WIDTH = 320, HEIGHT = 180, LEFT = 8, BOTTOM = 24, TOP = 6;

  const svg = (tag, attributes, ...children) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  };

  // Where a frequency lies between the bins: the last bin's centre is 1/2 cycle a pixel less half a bin.
  const place = (frequency, bins) => bins - 0.5 + STEPS_PER_OCTAVE * Math.log2(2 * frequency);

  Gallery.spectrum = (picture) => {
    const own = picture.spectrum;
    if (own.length < 2) return null;
    const natural = Gallery.data.natural[picture.size.join("x")];
    const [low, high] = [Math.min(...natural, ...own), Math.max(...natural, ...own)];
    const x = (step) => LEFT + (step / (own.length - 0.5)) * (WIDTH - 2 * LEFT);
    const y = (value) => TOP + ((high - value) / Math.max(1, high - low)) * (HEIGHT - BOTTOM - 2 * TOP);
    const line = (values) => "M" + values.map((v, i) => x(i).toFixed(1) + " " + y(v).toFixed(1)).join("L");
    const ticks = [2, 8, 32, 128].filter((pixels) => place(1 / pixels, own.length) >= 0).flatMap((pixels) => {
      const at = x(place(1 / pixels, own.length)).toFixed(1);
      return [svg("path", { class: "tick", d: `M${at} ${TOP}V${HEIGHT - BOTTOM}` }),
        svg("text", { x: at, y: HEIGHT - 8, "text-anchor": pixels === 2 ? "end" : "middle" }, "1/" + pixels)];
    });
    const chart = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": sentence(own, natural), class: "spectrum" },
      ...ticks, svg("path", { class: "natural", d: line(natural) }), svg("path", { class: "own", d: line(own) }));
    const legend = Gallery.element("figcaption", {},
      Gallery.element("span", { class: "own" }, "this image"),
      Gallery.element("span", { class: "natural" }, "photographs"),
      Gallery.element("span", { class: "axis" }, "cycles a pixel"));
    return Gallery.element("figure", { class: "chart" }, chart, legend);
  };

  const sentence = (own, natural) => {
    const step = own.length - 1;
    const ratio = 10 ** ((own[step] - natural[step]) / 1000);
    return `Amplitude by frequency: in the finest half octave, ${ratio.toPrecision(2)} times that of photographs`;
  };
}
