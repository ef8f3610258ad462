// What the page can do beyond being read: without this script nothing is missing from it.
"use strict";
(() => {
const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const make = (name, attributes = {}, ...children) => {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
};
document.documentElement.classList.add("js");

// ---- folds: opened by links, and all of them for a printer

const reveal = (element) => {
  for (let at = element; at; at = at.parentElement) if (at.matches("details")) at.open = true;
};
let closed = [];
addEventListener("beforeprint", () => {
  closed = all("details:not([open])");
  closed.forEach((each) => { each.open = true; });
});
addEventListener("afterprint", () => closed.forEach((each) => { each.open = false; }));

const contents = document.querySelector("nav > details");
const wide = matchMedia("(min-width: 70rem)");
const unfold = () => { if (contents) contents.open = wide.matches; };
wide.addEventListener("change", unfold);
unfold();

// Drawings that stand side by side are scrolled on a phone, with keys too.
const narrow = matchMedia("(max-width: 40rem)");
const reach = () => all(".panels").forEach((each) => {
  for (const [name, value] of [["tabindex", "0"], ["role", "group"], ["aria-label", "Drawings side by side"]])
    if (narrow.matches) each.setAttribute(name, value); else each.removeAttribute(name);
});
narrow.addEventListener("change", reach);
reach();

// ---- contents that follow the reading

const links = all("nav a[href^='#']");
const places = links.map((link) => document.getElementById(link.hash.slice(1))?.closest("section"));
let waiting = false;
const follow = () => {
  waiting = false;
  let now = -1;
  places.forEach((place, index) => {
    if (place?.offsetParent && place.getBoundingClientRect().top < 140) now = index;
  });
  links.forEach((link, index) => {
    if (index === now) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  });
};
addEventListener("scroll", () => { if (!waiting) { waiting = true; requestAnimationFrame(follow); } }, { passive: true });
if (contents) contents.addEventListener("click", (event) => {
  if (event.target.tagName === "A" && !wide.matches) contents.open = false;
});
follow();

// ---- tables: sorted, filtered, copied

const FILTERED = /^(Method|Pair|Transfer|Source|Target|Encoder|n|Seed|Search|Stage|Verdict|Status|Dataset|Score)$/;
const words = (cell) => {
  const note = cell.querySelector("small")?.textContent ?? "";
  return [cell.textContent.slice(0, cell.textContent.length - note.length).trim(), note];
};
const value = (text) => {
  const plain = text.replace(/[\u00a0\u202f]/g, " ").replace(/\u2212/g, "-");
  const time = /^(?:([\d.]+) h ?)?(?:([\d.]+) min ?)?(?:([\d.]+) s)?$/.exec(plain);
  if (plain && time) return 3600 * (time[1] ?? 0) + 60 * (time[2] ?? 0) + 1 * (time[3] ?? 0);
  const number = /^[<>~▲▼△▽○ ]*([-+]?[\d ]*\.?\d+(?:e[-+]?\d+)?)(?![\w-])/i.exec(plain);
  return number ? parseFloat(number[1].replace(/ /g, "")) : NaN;
};
const order = (first, second) => {
  const [a, b] = [value(first), value(second)];
  if (isNaN(a) && isNaN(b)) return first.localeCompare(second, "en", { numeric: true });
  return isNaN(a) ? 1 : isNaN(b) ? -1 : a - b;
};
const tables = new Map();

const enhance = (box) => {
  const table = box.querySelector("table");
  const heads = all("thead th", table);
  const rows = all("tbody tr", table);
  const names = heads.map((head) => head.textContent.trim());
  const text = rows.map((row) => [...row.cells].map(words));
  const state = { sort: "", filters: {} };
  const selects = {};

  const show = () => {
    const column = Math.abs(state.sort) - 1;
    const sorted = rows.map((_, index) => index);
    if (state.sort) sorted.sort((a, b) => Math.sign(state.sort) * order(text[a][column][0], text[b][column][0]));
    table.tBodies[0].append(...sorted.map((index) => rows[index]));
    rows.forEach((row, index) => {
      row.hidden = Object.entries(state.filters).some(([name, wanted]) => text[index][names.indexOf(name)]?.[0] !== wanted);
    });
    table.classList.toggle("sorted", Boolean(state.sort));
    heads.forEach((head, at) => {
      if (at === column) head.setAttribute("aria-sort", state.sort > 0 ? "ascending" : "descending");
      else head.removeAttribute("aria-sort");
    });
    for (const [name, select] of Object.entries(selects)) select.value = state.filters[name] ?? "";
    const left = rows.filter((row) => !row.hidden).length;
    count.textContent = left < rows.length ? `${left} of ${rows.length} rows` : "";
  };
  const count = make("span", { class: "count", role: "status" });
  const bar = make("div", { class: "tools" });
  if (rows.length > 7) heads.forEach((head, at) => {
    const known = [...new Set(text.map((row) => row[at]?.[0]))];
    if (!FILTERED.test(names[at]) || known.length < 2 || known.length > 60 || known.length === rows.length) return;
    const select = make("select", {}, make("option", { value: "" }, "all"));
    select.append(...known.map((each) => make("option", { value: each }, each)));
    select.addEventListener("change", () => {
      if (select.value) state.filters[names[at]] = select.value; else delete state.filters[names[at]];
      show();
      remember(box.id);
    });
    selects[names[at]] = select;
    bar.append(make("label", {}, names[at], select));
  });
  if (rows.length > 2) heads.forEach((head, at) => {
    if (!names[at]) return;
    const button = make("button", { type: "button", class: "sort" }, ...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const [up, down] = [at + 1, -at - 1];
      const first = at === 0 || head.classList.contains("head") ? up : down;
      state.sort = state.sort === first ? -first : state.sort === -first ? "" : first;
      show();
      remember(box.id);
    });
  });
  bar.append(count, copier(() => {
    const noted = names.map((_, at) => text.some((row) => row[at]?.[1]));
    return {
      name: box.id.slice(2), caption: table.caption?.textContent ?? "", names, noted,
      rows: [...table.tBodies[0].rows].filter((row) => !row.hidden).map((row) => text[rows.indexOf(row)]),
    };
  }, ["CSV", "Markdown", "LaTeX", "YAML"]));
  box.before(bar);
  tables.set(box.id, { state, show });
};

const plain = (text) => text.replace(/\u2212/g, "-").replace(/[\u00a0\u202f]/g, " ");
const both = ([text, note]) => (note ? `${text} [${note}]` : text);
const TEX = { "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "\u2212": "$-$",
  "\u2013": "--", "\u00a0": "~", "\u202f": "\\,", "<": "\\textless{}", ">": "\\textgreater{}", "[": "{[}", "]": "{]}" };
const tex = (text) => text.replace(/[\\~^<>[\]\u2212\u2013\u00a0\u202f&%$#_{}]/g, (each) => TEX[each] ?? `\\${each}`);
const yaml = (text) => (/^-?\d+(\.\d+)?$/.test(plain(text)) ? plain(text) : JSON.stringify(plain(text)));
const quoted = (text) => (/[",\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text);
const WRITE = {
  CSV: ({ names, noted, rows }) => {
    const split = (cells, tail) => cells.flatMap((cell, at) => (noted[at] ? tail(cell) : [tail(cell)[0]]));
    const lines = [split(names, (name) => [name, `${name}: note`]), ...rows.map((row) => split(row, (cell) => cell))];
    return lines.map((line) => line.map((cell) => quoted(plain(cell))).join(",")).join("\n") + "\n";
  },
  Markdown: ({ caption, names, rows }) => {
    const line = (cells) => `| ${cells.map((cell) => cell.replace(/([\\|*_`<>#])/g, "\\$1")).join(" | ")} |`;
    const rule = `|${names.map((_, at) => (at ? " ---: |" : " --- |")).join("")}`;
    return [`**${caption}**`, "", line(names), rule, ...rows.map((row) => line(row.map(both)))].join("\n") + "\n";
  },
  LaTeX: ({ name, caption, names, rows }) => [
    "% Needs \\usepackage{booktabs}.", "\\begin{table}", "\\centering", `\\caption{${tex(caption)}}`,
    `\\label{tab:${name}}`, `\\begin{tabular}{l${"r".repeat(names.length - 1)}}`, "\\toprule",
    `${names.map(tex).join(" & ")} \\\\`, "\\midrule",
    ...rows.map((row) => `${row.map((cell) => tex(both(cell))).join(" & ")} \\\\`),
    "\\bottomrule", "\\end{tabular}", "\\end{table}", "",
  ].join("\n"),
  YAML: ({ names, noted, rows }) => rows.map((row) => row.flatMap((cell, at) => [
    `${JSON.stringify(names[at])}: ${yaml(cell[0])}`,
    ...(noted[at] && cell[1] ? [`${JSON.stringify(`${names[at]}: note`)}: ${yaml(cell[1])}`] : []),
  ]).map((line, at) => `${at ? "  " : "- "}${line}\n`).join("")).join(""),
  Text: (text) => text,
};
const copied = async (text) => {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const field = make("textarea", { class: "aside" }, text);
    document.body.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
  }
};
const copier = (read, kinds) => {
  const group = make("span", { class: "copy", role: "group", "aria-label": "Copy" }, "Copy");
  kinds.forEach((kind) => {
    const button = make("button", { type: "button" }, kind);
    button.addEventListener("click", async () => {
      await copied(WRITE[kind](read()));
      button.classList.add("done");
      setTimeout(() => button.classList.remove("done"), 1500);
    });
    group.append(button);
  });
  return group;
};
all("main .table[id]").forEach(enhance);
all("main pre").forEach((pre) => {
  pre.setAttribute("tabindex", "0");
  pre.before(make("div", { class: "tools" }, copier(() => pre.textContent, ["Text"])));
});

// ---- the fragment: where the reader is, and how tables are sorted and filtered: #t-gains?sort=-3&Method=vat;t-scores?sort=1

const remember = (id) => {
  const parts = [];
  for (const [name, { state }] of tables) {
    const query = new URLSearchParams(state.filters);
    if (state.sort) query.set("sort", state.sort);
    if (String(query)) parts[name === id ? "unshift" : "push"](`${name}?${query}`);
  }
  history.replaceState(null, "", `#${parts.length ? parts.join(";") : id}`);
};
const arrive = () => {
  const parts = location.hash.slice(1).split(";").map((part) => part.split("?"));
  for (const [name, { state, show }] of tables) {
    const query = new URLSearchParams(parts.find(([each, given]) => each === name && given)?.[1] ?? "");
    const sort = Number(query.get("sort")) || "";
    query.delete("sort");
    const filters = Object.fromEntries(query);
    if (sort === state.sort && JSON.stringify(filters) === JSON.stringify(state.filters)) continue;
    Object.assign(state, { sort, filters });
    show();
  }
  const place = document.getElementById(decodeURIComponent(parts[0][0]));
  if (place) {
    reveal(place);
    place.scrollIntoView({ behavior: "instant" });
    follow();
  }
};
addEventListener("hashchange", arrive);
if (location.hash) arrive();

// ---- points that say what they are, under a pointer and on focus

const tip = make("div", { id: "tip", role: "tooltip", hidden: "" });
document.body.append(tip);
let shown = null;
const told = (element) => {
  const title = element.querySelector?.(":scope > title");
  if (title) {
    element.dataset.tip = title.textContent;
    title.remove();
  } else if (element.title) {
    element.dataset.tip = element.title;
    element.removeAttribute("title");
  }
  return element.dataset.tip ?? "";
};
const tell = (element) => {
  const text = told(element);
  const drawing = element.closest("svg");
  const same = element.dataset.of;
  if (drawing && same) {
    drawing.classList.add("lit");
    all("[data-of]", drawing).forEach((each) => each.classList.toggle("on", each.dataset.of === same));
  }
  if (!text) return;
  tip.textContent = text;
  tip.hidden = false;
  shown = element;
  element.setAttribute("aria-describedby", "tip");
  settle();
};
const settle = () => {
  const at = shown.getBoundingClientRect();
  const size = tip.getBoundingClientRect();
  const left = Math.min(Math.max(at.left + at.width / 2 - size.width / 2, 8), innerWidth - size.width - 8);
  const above = at.top - size.height - 8;
  tip.style.left = `${left}px`;
  tip.style.top = `${above > 0 ? above : at.bottom + 8}px`;
};
const hush = (element) => {
  tip.hidden = true;
  shown = null;
  element?.removeAttribute("aria-describedby");
  element?.closest("svg")?.classList.remove("lit");
};
const SAYS = ".mark, [title], [data-tip]";
const said = (event) => event.target.closest?.("main") && event.target.closest(SAYS);
for (const [name, act] of [["pointerover", tell], ["focusin", tell], ["pointerout", hush], ["focusout", hush]])
  addEventListener(name, (event) => { const element = said(event); if (element) act(element); });
addEventListener("scroll", () => {
  if (shown && shown === document.activeElement) settle(); else if (shown) hush(shown);
}, { passive: true });
addEventListener("keydown", (event) => {
  if (event.key === "Escape") hush(document.activeElement);
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  const mark = event.target.closest?.("svg .mark");
  if (!step || !mark) return;
  const marks = all(".mark[tabindex]", mark.closest("svg"));
  const next = marks[(marks.indexOf(mark) + step + marks.length) % marks.length];
  mark.setAttribute("tabindex", "-1");
  next.setAttribute("tabindex", "0");
  next.focus();
  event.preventDefault();
});
all("svg:has(.mark > title)").forEach((drawing) => {
  drawing.setAttribute("role", "group");
  all(".mark", drawing).filter(told).forEach((mark, index) => {
    mark.setAttribute("tabindex", index ? "-1" : "0");
    mark.setAttribute("role", "img");
    mark.setAttribute("aria-label", mark.dataset.tip);
  });
});
})();
