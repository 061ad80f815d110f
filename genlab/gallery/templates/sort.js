"use strict";
// Sorts a table by the column whose heading is pressed; pressed again, the other way round.
for (const button of document.querySelectorAll("table.sortable th button")) {
  button.addEventListener("click", () => {
    const head = button.closest("th"), body = head.closest("table").tBodies[0];
    const column = head.cellIndex, falling = head.getAttribute("aria-sort") === "ascending";
    const key = (row) => row.cells[column].dataset.key;
    const order = (a, b) => {
      if (!head.classList.contains("number")) return key(a).localeCompare(key(b));
      const [x, y] = [a, b].map((row) => Number(key(row).replace("inf", "Infinity")));
      return x === y ? 0 : x - y;
    };
    const rows = [...body.rows].sort((a, b) => (falling ? order(b, a) : order(a, b)));
    for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", falling ? "descending" : "ascending");
    body.append(...rows);
  });
}
