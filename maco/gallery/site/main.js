"use strict";
// Addresses: #/wall/NETWORK/METHOD, #/unit/KEY/NETWORK/METHOD, #/compare/KEY, each with q, seed, masked.
{
  const search = document.getElementById("search");
  let lastColumn = null;
  let lastUnit = null;
  let query = "";
  let turn = 0;

  const address = (parts, extra = {}) => {
    const options = new URLSearchParams();
    if (query) options.set("q", query);
    for (const [name, value] of Object.entries(extra)) {
      if (value !== undefined && value !== null) options.set(name, value);
    }
    return "#/" + parts.join("/") + (options.size ? "?" + options : "");
  };
  const columnWith = (unit) => [lastColumn, ...Gallery.data.columns]
    .find((column) => Gallery.seeds(unit, column).length) ?? lastColumn;
  const where = (column) => [column.network.key, column.method.key];

  Gallery.wallAddress = (column = lastColumn) => address(["wall", ...where(column)]);
  Gallery.pageAddress = (unit, column = columnWith(unit), seed = undefined) =>
    address(["unit", unit.key, ...where(column)], { seed });
  Gallery.compareAddress = (unit, seed = undefined) => address(["compare", unit.key], { seed });

  Gallery.route = () => {
    const [path, options] = location.hash.replace(/^#\/?/, "").split("?");
    const parts = path.split("/");
    const given = new URLSearchParams(options ?? "");
    const names = parts[0] === "wall" ? parts.slice(1) : parts.slice(2);
    return {
      view: { unit: "page", compare: "compare" }[parts[0]] ?? "wall",
      unit: Gallery.data.byKey.get(parts[0] === "wall" ? undefined : parts[1]),
      column: Gallery.column(...names) ?? lastColumn,
      known: !parts[2] || parts[0] === "compare" || Boolean(Gallery.column(...names)),
      seed: given.has("seed") ? Number(given.get("seed")) : undefined,
      query: given.get("q") ?? "",
      masked: given.has("masked") ? Number(given.get("masked")) / 100 : undefined,
    };
  };

  // The address follows the slider, without a new entry in the browser's history.
  Gallery.keepAddress = () => {
    const [path, options] = location.hash.split("?");
    const given = new URLSearchParams(options ?? "");
    given.delete("masked");
    if (Gallery.masked() > 0) given.set("masked", Math.round(100 * Gallery.masked()));
    history.replaceState(null, "", (path || "#/") + (given.size ? "?" + given : ""));
  };

  Gallery.search = (text) => {
    query = text;
    const { view, column } = Gallery.route();
    const next = Gallery.wallAddress(column);
    if (view === "wall") {
      history.replaceState(null, "", next);
      Gallery.showWall(column, text);
    } else {
      location.hash = next;
    }
  };

  const show = async () => {
    const mine = ++turn;
    const route = Gallery.route();
    const before = lastUnit;
    [query, lastColumn] = [route.query, route.column];
    if (route.masked >= 0) Gallery.setMasked(route.masked);
    else if (Gallery.masked() > 0) Gallery.keepAddress();
    if (route.view === "wall") return showWall(route, before);
    if (!route.unit) return notice("This gallery has nothing of that name.");
    if (!route.known) return notice("This gallery has no such network and method.");
    try {
      const detail = await Gallery.load(route.unit);
      if (mine === turn) showUnit(route, detail, before);
    } catch (error) {
      notice(error.message);
    }
    return undefined;
  };

  const title = (...parts) => { document.title = [...parts, Gallery.data.title].join(" · "); };

  const showWall = (route, before) => {
    Gallery.hidePage();
    Gallery.showWall(route.column, route.query);
    title();
    lastUnit = null;
    if (before) Gallery.returnTo(before);
  };

  const notice = (text) => {
    Gallery.hideWall();
    Gallery.showNotice(text);
    title("Not here");
  };

  const showUnit = (route, detail, before) => {
    Gallery.hideWall();
    if (route.view === "page") Gallery.showPage(route.unit, route.column, route.seed, detail);
    else Gallery.showCompare(route.unit, route.seed, detail);
    title(route.unit.name);
    lastUnit = route.unit;
    if (before !== route.unit) {
      scrollTo(0, 0);
      document.querySelector("#page h1").focus({ preventScroll: true });
    }
  };

  search.addEventListener("input", () => Gallery.search(search.value));
  search.form.addEventListener("submit", (event) => {
    event.preventDefault();
    document.querySelector(".tile:not([hidden])")?.click();
  });
  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault(); // the address says what is shown
    document.getElementById("main").focus();
  });
  addEventListener("hashchange", show);
  if (Gallery.data) {
    lastColumn = Gallery.data.columns[0];
    show();
  } else {
    document.querySelector("main").textContent = "The list of pictures (index.js) is missing or cannot be read.";
  }
}
