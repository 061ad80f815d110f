"use strict";
// A cell of a picture whose cells lie in a grid: where it is cut out.
const cut = (grid, i) => [
  grid.gap + (i % grid.columns) * (grid.width + grid.gap),
  grid.gap + Math.floor(i / grid.columns) * (grid.height + grid.gap),
  grid.width, grid.height,
];
const part = (tag, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
};
const paint = (canvas, image, grid, i, scale) => {
  canvas.width = grid.width * scale;
  canvas.height = grid.height * scale;
  const pen = canvas.getContext("2d");
  pen.imageSmoothingEnabled = false;
  pen.drawImage(image, ...cut(grid, i), 0, 0, canvas.width, canvas.height);
};

// Samples: each is a button that enlarges it, beside the training datum nearest to it.
for (const holder of document.querySelectorAll("[data-cells]")) {
  const grid = JSON.parse(holder.dataset.cells), known = JSON.parse(holder.dataset.known);
  const image = holder.querySelector("img"), nearest = document.getElementById("nearest");
  const dialog = document.getElementById("enlarged");
  const scale = Math.max(1, Math.floor(288 / Math.max(grid.width, grid.height)));
  let shown = 0;
  const show = (i) => {
    shown = (i + grid.n) % grid.n;
    for (const [name, picture, n] of [["sample", image, grid.n], ["near", nearest, nearest?.dataset.n]]) {
      const canvas = dialog.querySelector(`canvas.${name}`);
      if (!canvas) continue;
      canvas.closest("figure").hidden = !(shown < n);
      if (shown < n) paint(canvas, picture, grid, shown, scale);
    }
    dialog.querySelector(".which").textContent = `Sample ${shown + 1} of ${grid.n}`;
    dialog.querySelector(".known").textContent = known[shown];
    dialog.querySelector("code").textContent = holder.dataset.command.replace("{n}", shown + 1);
    if (!dialog.open) dialog.showModal();
  };
  const percent = (value, of) => `${(100 * value) / of}%`;
  for (let i = 0; i < grid.n; i++) {
    const [x, y, width, height] = cut(grid, i);
    const button = part("button", { type: "button", className: "cell" });
    button.setAttribute("aria-label", `Enlarge sample ${i + 1}`);
    Object.assign(button.style, {
      left: percent(x, image.getAttribute("width")),
      top: percent(y, image.getAttribute("height")),
      width: percent(width, image.getAttribute("width")),
      height: percent(height, image.getAttribute("height")),
    });
    button.addEventListener("click", () => show(i));
    button.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: grid.columns, ArrowUp: -grid.columns }[event.key];
      const next = holder.querySelectorAll(".cell")[i + step];
      if (next) { event.preventDefault(); next.focus(); }
    });
    button.tabIndex = i ? -1 : 0;
    holder.append(button);
  }
  dialog.querySelector(".previous").addEventListener("click", () => show(shown - 1));
  dialog.querySelector(".next").addEventListener("click", () => show(shown + 1));
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") show(shown - 1);
    if (event.key === "ArrowRight") show(shown + 1);
  });
  dialog.addEventListener("click", (event) => {
    const { left, right, top, bottom } = dialog.getBoundingClientRect();
    const inside = event.clientX >= left && event.clientX <= right && event.clientY >= top && event.clientY <= bottom;
    if (event.target === dialog && !inside) dialog.close();
  });
}

// Figures that move: played while they are in view, or stepped through frame by frame.
const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
for (const player of document.querySelectorAll("[data-frames]")) {
  const grid = JSON.parse(player.dataset.grid), image = new Image();
  const canvas = part("canvas"), slider = part("input", { type: "range", min: 0, max: grid.n - 1, value: grid.n - 1 });
  const button = part("button", { type: "button" }), which = part("output");
  which.setAttribute("aria-live", "off"); // it changes with every frame
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", player.dataset.title);
  slider.setAttribute("aria-label", `Frame of ${player.dataset.title}`);
  let timer = 0;
  const show = (i) => {
    slider.value = i;
    which.textContent = `frame ${i + 1} of ${grid.n}`;
    if (image.complete) paint(canvas, image, grid, i, 1);
  };
  const pause = () => { clearTimeout(timer); timer = 0; button.textContent = "Play"; };
  const next = () => {
    show((Number(slider.value) + 1) % grid.n);
    const last = Number(slider.value) === grid.n - 1;
    timer = setTimeout(next, last ? 1500 : Math.min(400, Math.max(40, 3000 / grid.n)));
  };
  const play = () => { pause(); button.textContent = "Pause"; timer = setTimeout(next, 40); };
  button.addEventListener("click", () => (timer ? pause() : play()));
  slider.addEventListener("input", () => { pause(); show(Number(slider.value)); });
  image.addEventListener("load", () => show(Number(slider.value)));
  player.replaceChildren(canvas, part("div", { className: "controls" }, button, slider, which));
  canvas.width = grid.width;
  canvas.height = grid.height;
  pause();
  new IntersectionObserver((entries) => {
    const visible = entries.some((entry) => entry.isIntersecting);
    if (visible && !image.src) { image.src = player.dataset.frames; if (!still) play(); }
    if (!visible) pause();
  }).observe(player);
}
