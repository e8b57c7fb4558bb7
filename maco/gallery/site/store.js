"use strict";
// What is shown: the index is there from the start, the details of a unit come when asked for.
const Gallery = {};
{
  const SHARDS = 100; // as in pages.py
  const details = new Map();
  const waiting = new Map();

  Gallery.index = (data) => {
    const units = data.units.map(([key, label, index], place) => ({
      key, label, index, place,
      name: label.split(",")[0],
      words: (label + " " + (index ?? "")).toLowerCase(),
    }));
    const columns = data.columns.map(({ network, method, seeds }, place) => ({
      place, seeds, network: data.networks[network], method: data.methods[method],
    }));
    Gallery.data = { ...data, units, columns, byKey: new Map(units.map((unit) => [unit.key, unit])) };
  };

  Gallery.folder = (unit) => {
    const sum = [...unit.key].reduce((total, letter) => total + letter.charCodeAt(0), 0);
    return "units/" + String(sum % SHARDS).padStart(2, "0") + "/" + unit.key;
  };

  Gallery.seeds = (unit, column) => Gallery.data.seedSets[column.seeds[unit.place]];

  // kind: "small", "masked", or "" for the whole image.
  Gallery.picture = (unit, column, seed, kind = "") =>
    Gallery.folder(unit) + "/" + column.network.key + "." + column.method.key + "." + seed
    + (kind && "-" + kind) + ".webp";

  Gallery.column = (network, method) =>
    Gallery.data.columns.find((one) => one.network.key === network && one.method.key === method);

  Gallery.receive = (detail) => {
    details.set(detail.key, detail);
    waiting.get(detail.key)?.(detail);
    waiting.delete(detail.key);
  };

  // The details of a unit: measures, spectra, concepts.
  Gallery.load = (unit) => new Promise((resolve, reject) => {
    if (details.has(unit.key)) return resolve(details.get(unit.key));
    waiting.set(unit.key, resolve);
    const script = document.createElement("script");
    script.src = Gallery.folder(unit) + "/unit.js";
    script.onload = () => script.remove();
    script.onerror = () => {
      script.remove();
      reject(new Error("The details of this one cannot be read: " + Gallery.folder(unit) + "/unit.js"));
    };
    document.head.append(script);
    return undefined;
  });
}
