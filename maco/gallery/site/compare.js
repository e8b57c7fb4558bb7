"use strict";
// One unit in every network (down) by every method (across).
{
  const page = document.getElementById("page");

  const cell = (unit, network, method, seed, detail) => {
    const column = Gallery.column(network.key, method.key);
    const seeds = column ? Gallery.seeds(unit, column) : [];
    const own = seeds.includes(seed) ? seed : seeds[0];
    const picture = detail.pictures.find((one) => one.column === column?.place && one.seed === own);
    if (!picture) return Gallery.element("td", { class: "empty" }, "no picture");
    const alt = `${unit.name} in ${network.name} by ${method.name}, seed ${own}`;
    const link = Gallery.element("a", { href: Gallery.pageAddress(unit, column, own) },
      Gallery.stack(Gallery.picture(unit, column, own), picture.size, alt));
    return Gallery.element("td", {}, link, Gallery.spectrum(picture),
      Gallery.measures(picture, ["softmax", "transfer_softmax", "knn_1"]));
  };

  const seedChoice = (unit, seed) => {
    const all = new Set(Gallery.data.columns.flatMap((column) => Gallery.seeds(unit, column)));
    if (all.size < 2) return null;
    const links = [...all].sort((a, b) => a - b).map((one) => Gallery.element("a", {
      href: Gallery.compareAddress(unit, one), "aria-current": one === seed ? "true" : null,
    }, String(one)));
    return Gallery.element("nav", { class: "choice", "aria-label": "Seed" },
      Gallery.element("span", { class: "heading" }, "Seed"), ...links);
  };

  Gallery.showCompare = (unit, wanted, detail) => {
    const { networks, methods, columns } = Gallery.data;
    const seed = wanted ?? Math.min(...columns.flatMap((column) => Gallery.seeds(unit, column)));
    const head = Gallery.element("tr", {}, Gallery.element("td", {}),
      ...methods.map((method) => Gallery.element("th", { scope: "col" }, method.name)));
    const rows = networks.map((network) => Gallery.element("tr", {},
      Gallery.element("th", { scope: "row" }, network.name),
      ...methods.map((method) => cell(unit, network, method, seed, detail))));
    const table = Gallery.element("table", { class: "compare" }, Gallery.element("thead", {}, head),
      Gallery.element("tbody", {}, ...rows));
    page.className = "wide";
    page.replaceChildren(
      Gallery.way(unit, (other) => Gallery.compareAddress(other, wanted), null),
      ...Gallery.heading(unit),
      Gallery.element("div", { class: "controls" }, ...[Gallery.slider(), seedChoice(unit, seed)].filter(Boolean)),
      Gallery.element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Comparison" }, table));
    page.hidden = false;
  };
}
