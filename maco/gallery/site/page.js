"use strict";
// The page of a unit: one large picture, and all that is known of it.
{
  const page = document.getElementById("page");

  const seedLinks = (unit, column, seed) => {
    const seeds = Gallery.seeds(unit, column);
    if (seeds.length < 2) return null;
    const links = seeds.map((one) => Gallery.element("a", {
      href: Gallery.pageAddress(unit, column, one), "aria-current": one === seed ? "true" : null,
      "aria-label": "Seed " + one,
    }, Gallery.element("img", { src: Gallery.picture(unit, column, one, "small"), alt: "", loading: "lazy" })));
    return Gallery.element("div", { class: "seeds" }, Gallery.element("span", { class: "heading" }, "Seeds"), ...links);
  };

  const elsewhere = (unit, column) => {
    const others = Gallery.data.columns.filter((one) => Gallery.seeds(unit, one).length);
    if (others.length < 2) return null;
    const links = others.map((one) => Gallery.element("a", {
      href: Gallery.pageAddress(unit, one), "aria-current": one === column ? "true" : null,
    }, Gallery.element("img", { src: Gallery.picture(unit, one, Gallery.seeds(unit, one)[0], "small"), alt: "", loading: "lazy" }),
    Gallery.element("span", {}, one.network.name), Gallery.element("span", { class: "soft" }, one.method.name)));
    return Gallery.element("section", { class: "elsewhere" },
      Gallery.element("h2", {}, "Elsewhere"),
      Gallery.element("p", { class: "soft" }, "The same one in every network, by every method. ",
        Gallery.element("a", { href: Gallery.compareAddress(unit) }, "Compare them side by side")),
      Gallery.element("div", { class: "row" }, ...links));
  };

  const stage = (unit, column, seed, picture) => {
    const alt = `What ${column.network.name} likes for ${unit.name}, by ${column.method.name}, seed ${seed}`;
    const size = picture?.size ?? [512, 512];
    const aside = picture ? [Gallery.slider(), seedLinks(unit, column, seed),
      Gallery.element("h2", { class: "heading" }, "Spectrum"), Gallery.spectrum(picture), Gallery.measures(picture)] : [];
    return Gallery.element("div", { class: "stage" },
      Gallery.stack(Gallery.picture(unit, column, seed), size, alt, true),
      Gallery.element("aside", { "aria-label": "About this picture" }, ...aside.filter(Boolean)));
  };

  Gallery.showPage = (unit, column, wanted, detail) => {
    const seeds = Gallery.seeds(unit, column);
    const seed = seeds.includes(wanted) ? wanted : seeds[0];
    const picture = detail.pictures.find((one) => one.column === column.place && one.seed === seed);
    const to = (other) => Gallery.pageAddress(other, column);
    const compare = Gallery.element("a", { href: Gallery.compareAddress(unit) }, "Compare");
    const nothing = Gallery.element("p", { class: "notice" }, `There is no picture by ${column.method.name} in ${column.network.name}.`);
    page.className = "one";
    page.replaceChildren(...[
      Gallery.way(unit, to, compare),
      ...Gallery.heading(unit),
      Gallery.element("div", { class: "choices" }, ...Gallery.choices(column, unit, (one) => Gallery.pageAddress(unit, one))),
      seed === undefined ? nothing : stage(unit, column, seed, picture),
      elsewhere(unit, column),
      ...Gallery.concepts(unit, detail, column.network),
    ].filter(Boolean));
    page.hidden = false;
  };

  Gallery.showNotice = (text) => {
    const back = Gallery.element("a", { href: "#/" }, "All pictures");
    page.className = "one";
    page.replaceChildren(Gallery.element("h1", { tabindex: -1 }, "Not here"), Gallery.element("p", { class: "notice" }, text), back);
    page.hidden = false;
  };

  Gallery.hidePage = () => {
    page.hidden = true;
    page.replaceChildren();
  };
}
