// Sorts tables by the column whose heading is clicked, and says where one scrolls. Without it the
// page is whole: rows stand in the study's order.
(() => {
  const numberOf = (text) => parseFloat(text.replace("\u2212", "-").replace(/[^0-9.eE+-].*$/, ""));
  const compare = (a, b) => {
    const [x, y] = [numberOf(a), numberOf(b)];
    if (isNaN(x) || isNaN(y)) return isNaN(x) - isNaN(y) || a.localeCompare(b);
    return x - y;
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    table.querySelectorAll("thead th").forEach((heading, column) => {
      const button = document.createElement("button");
      button.append(...heading.childNodes);
      heading.append(button);
      button.addEventListener("click", () => {
        const down = heading.getAttribute("aria-sort") === "ascending";
        table.querySelectorAll("th[aria-sort]").forEach((th) => th.removeAttribute("aria-sort"));
        heading.setAttribute("aria-sort", down ? "descending" : "ascending");
        const text = (row) => row.cells[column].textContent.trim();
        const rows = [...table.tBodies[0].rows].sort((a, b) => compare(text(a), text(b)));
        table.tBodies[0].append(...(down ? rows.reverse() : rows));
      });
    });
  }
  const hint = () => {
    for (const area of document.querySelectorAll(".scroll, .picture")) {
      area.classList.toggle("wide", area.scrollWidth > area.clientWidth + 1);
    }
  };
  addEventListener("resize", hint);
  addEventListener("change", hint);
  addEventListener("load", hint);
  hint();
})();
