"use strict";
// The concepts of a unit in one network: what they look like, where they come from, how much they do.
{
  const pictures = (folder, kind, list, alt) => {
    if (!list.length) return null;
    const images = list.map(({ image, source, activation }) => Gallery.element("img", {
      src: folder + "/" + image, loading: "lazy", alt: alt + (source && " in " + source),
      title: [source, activation === null || activation === undefined ? "" : "activation " + Number(activation.toPrecision(3))]
        .filter(Boolean).join(", ") || null,
    }));
    return Gallery.element("div", { class: kind }, ...images);
  };

  const percent = (share) => (100 * share).toFixed(share < 0.1 ? 1 : 0) + " %";

  const importance = (one, largest) => {
    const bar = Gallery.element("span", { class: "bar", "aria-hidden": "true" }, Gallery.element("span", {}));
    bar.firstChild.style.width = Math.max(0, (100 * one.importance) / largest) + "%";
    const interval = one.interval ? ` (${percent(one.interval[0])} to ${percent(one.interval[1])})` : "";
    return Gallery.element("p", { class: "importance" }, bar, "importance " + percent(one.importance) + interval);
  };

  const concept = (folder, one, largest, rank) => {
    const name = "Concept " + (rank + 1);
    const path = folder + "/" + one.image + ".webp";
    const look = one.image ? Gallery.stack(path, one.size, name + ", visualization") : null;
    return Gallery.element("article", { class: "concept" },
      look,
      Gallery.element("div", {},
        Gallery.element("h3", {}, name), importance(one, largest),
        pictures(folder, "patches", one.patches, name + ", patch"),
        pictures(folder, "heatmaps", one.heatmaps, name + ", where it is")));
  };

  Gallery.concepts = (unit, detail, network) => {
    const folder = Gallery.folder(unit);
    return detail.concepts.filter((one) => one.network === network.name).map((own) => {
      const largest = Math.max(1e-9, ...own.concepts.map((one) => one.importance));
      return Gallery.element("section", { class: "concepts" },
        Gallery.element("h2", {}, "Concepts"),
        Gallery.element("p", { class: "soft" }, `What ${network.name} finds in photographs of this class, in layer ${own.layer}.`),
        ...own.concepts.map((one, rank) => concept(folder, one, largest, rank)));
    });
  };
}
