// The report's page: what each point of a picture says, and the table of all prompts sorted and filtered. It asks for nothing.
"use strict";

const SVG = "http://www.w3.org/2000/svg";
const element = (name, fields = {}) => Object.assign(document.createElement(name), fields);

function pointOut(svg) {
  const tips = JSON.parse(svg.dataset.tips || "[]");
  if (!tips.length) return;
  const said = element("output", { className: "tip" });
  const ring = document.createElementNS(SVG, "circle");
  ring.setAttribute("class", "ring");
  ring.setAttribute("r", "5");
  let place = -1;
  const show = (n) => {
    place = n;
    const [x, y, text] = tips[n];
    ring.setAttribute("cx", x);
    ring.setAttribute("cy", y);
    svg.append(ring);
    said.textContent = text;
  };
  const hide = () => { ring.remove(); said.textContent = ""; place = -1; };
  const nearest = (event) => {
    const box = svg.getBoundingClientRect();
    const scale = svg.viewBox.baseVal.width / box.width;
    const [x, y] = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
    const far = tips.map(([a, b]) => 4 * (a - x) ** 2 + (b - y) ** 2);
    return far.indexOf(Math.min(...far));
  };
  const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
  svg.setAttribute("tabindex", "0");
  svg.setAttribute("role", "application");
  svg.setAttribute("aria-roledescription", "picture, arrow keys read its points");
  svg.after(said);
  svg.addEventListener("pointermove", (event) => show(nearest(event)));
  svg.addEventListener("pointerdown", (event) => show(nearest(event)));
  svg.addEventListener("pointerleave", hide);
  svg.addEventListener("blur", hide);
  svg.addEventListener("keydown", (event) => {
    if (event.key in steps) show(Math.min(Math.max(place + steps[event.key], 0), tips.length - 1));
    else if (event.key === "Home") show(0);
    else if (event.key === "End") show(tips.length - 1);
    else if (event.key === "Escape") hide();
    else return;
    event.preventDefault();
  });
}

function sortBy(table, column, button) {
  const body = table.tBodies[0];
  const header = button.closest("th");
  const down = header.getAttribute("aria-sort") === "ascending";
  const key = (row) => row.cells[column].dataset.sort ?? row.cells[column].textContent;
  const value = (row) => (key(row) === "" ? NaN : Number(key(row)));
  const rows = [...body.rows];
  const numeric = rows.every((row) => key(row) === "" || !Number.isNaN(value(row)));
  rows.sort((a, b) => {
    if (!numeric) return (down ? -1 : 1) * key(a).localeCompare(key(b));
    const [x, y] = [value(a), value(b)];
    if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
    return (down ? -1 : 1) * (x - y);
  });
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", down ? "descending" : "ascending");
  body.append(...rows);
}

function makeSortable(table) {
  [...table.tHead.rows[0].cells].forEach((header, column) => {
    const button = element("button", { type: "button", textContent: header.textContent });
    header.replaceChildren(button);
    button.addEventListener("click", () => sortBy(table, column, button));
  });
}

function makeFilters(table) {
  const rows = [...table.tBodies[0].rows];
  const bar = element("div", { className: "filters" });
  const words = element("input", { type: "search" });
  const category = element("select");
  const count = element("output", { className: "quiet" });
  const named = [...new Set(rows.map((row) => row.dataset.category))].sort();
  category.append(new Option("All categories", ""), ...named.filter(Boolean).map((name) => new Option(name, name)));
  const change = element("select");
  change.append(new Option("Any change in score", ""), new Option("Score rose", "1"), new Option("Score fell", "-1"));
  const apply = () => {
    const wanted = words.value.toLowerCase();
    let shown = 0;
    for (const row of rows) {
      row.hidden = !(
        row.textContent.toLowerCase().includes(wanted) &&
        (!category.value || row.dataset.category === category.value) &&
        (!change.value || String(Math.sign(Number(row.dataset.gain || 0))) === change.value)
      );
      shown += !row.hidden;
    }
    count.textContent = `${shown} of ${rows.length} prompts`;
  };
  for (const [title, field] of [["Search", words], ["Category", category], ["Change", change]]) {
    const group = element("div");
    field.id = `filter-${title.toLowerCase()}`;
    group.append(element("label", { textContent: title, htmlFor: field.id }), field);
    field.addEventListener("input", apply);
    bar.append(group);
  }
  bar.append(count);
  table.closest(".scroll").before(bar);
  apply();
}

document.querySelectorAll("svg.plot").forEach(pointOut);
document.querySelectorAll("table.answers").forEach((table) => { makeFilters(table); makeSortable(table); });
