"use strict";
// The wall: a tile for every unit, with its picture in one column.
{
  const wall = document.getElementById("wall");
  const tiles = document.getElementById("tiles");
  const search = document.getElementById("search");
  const FEW = 30; // so many fit in a window when they are larger
  let links = [];
  let column = null;
  let found = [];

  const build = () => {
    links = Gallery.data.units.map((unit) => {
      const image = Gallery.element("img", { alt: "", loading: "lazy", decoding: "async", width: 240, height: 240 });
      image.addEventListener("error", () => image.removeAttribute("src"));
      const name = Gallery.element("span", {}, unit.name);
      return Gallery.element("a", { class: "tile", "data-place": unit.place }, image, name);
    });
    tiles.append(...links);
    tiles.classList.toggle("few", links.length <= FEW);
  };

  const hang = (next) => {
    if (column === next) return;
    column = next;
    for (const unit of Gallery.data.units) {
      const link = links[unit.place];
      const [seed] = Gallery.seeds(unit, column);
      link.href = Gallery.pageAddress(unit, column);
      if (seed === undefined) link.firstChild.removeAttribute("src");
      else link.firstChild.src = Gallery.picture(unit, column, seed, "small");
    }
  };

  const filter = (query) => {
    const terms = query.toLowerCase().split(/\s+/).filter(Boolean);
    found = Gallery.data.units.filter((unit) => terms.every((term) => unit.words.includes(term)));
    const shown = new Set(found);
    for (const unit of Gallery.data.units) links[unit.place].hidden = !shown.has(unit);
    document.getElementById("count").textContent = sentence(query);
  };

  const number = (count, one, more) => count.toLocaleString("en") + " " + (count === 1 ? one : more);

  const sentence = (query) => {
    const { units, networks, methods } = Gallery.data;
    if (query.trim() && !found.length) return "Nothing is called “" + query.trim() + "”.";
    if (query.trim()) return number(found.length, "picture", "pictures") + " of " + units.length.toLocaleString("en");
    return [number(units.length, "unit", "units"), number(networks.length, "network", "networks"),
      number(methods.length, "method", "methods")].join(" · ");
  };

  Gallery.showWall = (next, query) => {
    if (!links.length) build();
    hang(next);
    filter(query);
    if (search.value !== query) search.value = query;
    document.getElementById("wall-choices")
      .replaceChildren(...Gallery.choices(column, null, Gallery.wallAddress));
    wall.hidden = false;
  };

  Gallery.hideWall = () => { wall.hidden = true; };

  // Puts the focus where one left the wall.
  Gallery.returnTo = (unit) => {
    const link = links[unit.place];
    if (!link || link.hidden || document.activeElement === search) return; // who types goes on
    link.scrollIntoView({ block: "center" });
    link.focus({ preventScroll: true });
  };

  // The unit before (-1) or after (1), among those that were found, around the end.
  Gallery.neighbour = (unit, step) => {
    const among = found.includes(unit) ? found : Gallery.data.units;
    return among[(among.indexOf(unit) + step + among.length) % among.length];
  };

  // Moves the focus over the tiles; true if the key meant that.
  Gallery.moveOnWall = (key) => {
    const shown = links.filter((link) => !link.hidden);
    if (!shown.length) return false;
    const first = shown.findIndex((link) => link.offsetTop > shown[0].offsetTop);
    const across = first < 0 ? shown.length : first;
    const at = shown.indexOf(document.activeElement);
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -across, ArrowDown: across };
    const goal = key === "Home" ? 0 : key === "End" ? shown.length - 1 : at + steps[key];
    const target = shown[at < 0 ? 0 : goal];
    target?.focus({ preventScroll: true });
    target?.scrollIntoView({ block: "nearest" });
    return true;
  };
}
