"use strict";
// The keys that the help lists.
{
  const help = document.getElementById("help");
  const search = document.getElementById("search");
  const ARROWS = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"];

  const go = (address) => { location.hash = address; };

  // Another network or method: the column before or after that has this unit.
  const turn = ({ unit, column }, step) => {
    const there = Gallery.data.columns.filter((one) => Gallery.seeds(unit, one).length);
    go(Gallery.pageAddress(unit, there[(there.indexOf(column) + step + there.length) % there.length]));
  };

  const nextSeed = ({ view, unit, column, seed }) => {
    const own = view === "page" ? Gallery.seeds(unit, column)
      : [...new Set(Gallery.data.columns.flatMap((one) => Gallery.seeds(unit, one)))].sort((a, b) => a - b);
    const next = own[(Math.max(0, own.indexOf(seed)) + 1) % own.length];
    go(view === "page" ? Gallery.pageAddress(unit, column, next) : Gallery.compareAddress(unit, next));
  };

  const step = (route, by) => {
    const other = Gallery.neighbour(route.unit, by);
    go(route.view === "page" ? Gallery.pageAddress(other, route.column) : Gallery.compareAddress(other, route.seed));
  };

  const onPage = {
    ArrowLeft: (route) => step(route, -1),
    ArrowRight: (route) => step(route, 1),
    ArrowUp: (route) => { if (route.view === "page") turn(route, -1); },
    ArrowDown: (route) => { if (route.view === "page") turn(route, 1); },
    s: nextSeed,
    c: ({ view, unit }) => go(view === "page" ? Gallery.compareAddress(unit) : Gallery.pageAddress(unit)),
    m: () => { Gallery.setMasked(Gallery.masked() > 0.5 ? 0 : 1); Gallery.keepAddress(); },
    Escape: ({ view, unit }) => go(view === "page" ? Gallery.wallAddress() : Gallery.pageAddress(unit)),
  };

  const leaveSearch = (event) => {
    if (event.key === "Escape") {
      if (search.value) Gallery.search("");
      search.blur();
    } else if (event.key === "ArrowDown") {
      Gallery.moveOnWall("ArrowDown");
    } else {
      return;
    }
    event.preventDefault();
  };

  document.addEventListener("keydown", (event) => {
    if (help.open || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target === search) return leaveSearch(event);
    const route = Gallery.route();
    if (event.target.matches("input, .scroll") && ARROWS.includes(event.key)) return;
    if (event.key === "/") search.select();
    else if (event.key === "?") help.showModal();
    else if (route.view === "wall" && ARROWS.includes(event.key)) Gallery.moveOnWall(event.key);
    else if (route.unit && Object.hasOwn(onPage, event.key)) onPage[event.key](route);
    else return;
    event.preventDefault();
  });

  document.getElementById("ask").addEventListener("click", () => help.showModal());
}
