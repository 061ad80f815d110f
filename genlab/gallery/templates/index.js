"use strict";
// Filters, order and pictures side by side; what is chosen stands in the address, so it can be sent on.
const tiles = [...document.querySelectorAll(".tile")], list = document.querySelector(".tiles");
const form = document.getElementById("controls"), count = document.getElementById("count");
const beside = document.getElementById("beside"), row = beside.querySelector(".pair");
form.hidden = false;
for (const choice of document.querySelectorAll(".choose")) {
  choice.hidden = false;
  choice.querySelector("button").addEventListener("click", () => beside.scrollIntoView());
}

const number = (text) => (text === "" ? Infinity : Number(text));
const orders = {
  given: () => 0,
  model: (a, b) => a.dataset.model.localeCompare(b.dataset.model),
  score: (a, b) => number(a.dataset.rank) - number(b.dataset.rank),
  parameters: (a, b) => number(a.dataset.parameters) - number(b.dataset.parameters),
  seconds: (a, b) => number(a.dataset.seconds) - number(b.dataset.seconds),
};
const chosen = () => tiles.filter((tile) => tile.querySelector(".choose input").checked);

const show = () => {
  const asked = new FormData(form);
  const fits = (tile) => ["model", "data", "kind"].every((key) => !asked.get(key) || asked.get(key) === tile.dataset[key]);
  let left = 0;
  for (const tile of tiles) {
    tile.hidden = !fits(tile);
    left += !tile.hidden;
  }
  count.textContent = left === tiles.length ? `${left} shown` : `${left} of ${tiles.length} shown`;
  const sorted = [...tiles].sort(orders[asked.get("order")]);
  if (sorted.some((tile, i) => tile !== list.children[i])) list.append(...sorted); // a tile that moves loses the focus
  row.replaceChildren(...chosen().map((tile) => {
    const figure = document.createElement("figure"), caption = document.createElement("figcaption");
    const picture = tile.querySelector("template").content.cloneNode(true);
    caption.append(...[...tile.querySelectorAll("h2, .data, .score")].map((part) => part.cloneNode(true)));
    figure.append(picture, caption);
    return figure;
  }));
  beside.hidden = !row.children.length;
  for (const tile of tiles) tile.querySelector(".choose button").hidden = !chosen().includes(tile);
  const words = [...asked].filter(([key, value]) => value && !(key === "order" && value === "given"));
  const runs = chosen().map((tile) => ["beside", tile.id]);
  history.replaceState(null, "", `#${new URLSearchParams([...words, ...runs])}`);
};

const begin = new URLSearchParams(location.hash.slice(1));
for (const [key, value] of begin) {
  if (key === "beside") {
    const box = document.getElementById(value)?.querySelector(".choose input");
    if (box) box.checked = true;
  } else {
    const select = [...form.querySelectorAll("select")].find((each) => each.name === key);
    if (select && [...select.options].some((option) => option.value === value)) select.value = value;
  }
}
form.addEventListener("input", show);
list.addEventListener("input", show);
beside.querySelector("button").addEventListener("click", () => {
  for (const tile of chosen()) tile.querySelector(".choose input").checked = false;
  show();
});
show();
