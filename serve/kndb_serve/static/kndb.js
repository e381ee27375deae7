// Improves pages that work without it: theme, suggestions, sliders that act at once.
"use strict";

const root = document.documentElement;

// A token in the address has set a cookie; it need not stay in the history.
const here = new URL(location.href);
if (here.searchParams.has("token")) {
  here.searchParams.delete("token");
  history.replaceState(null, "", here);
}

// Theme.
const button = document.getElementById("theme");
const dark = matchMedia("(prefers-color-scheme: dark)");
function theme() {
  return root.dataset.theme || (dark.matches ? "dark" : "light");
}
function nameTheme() {
  button.textContent = theme() === "dark" ? "Light" : "Dark";
  button.setAttribute("aria-label", `Use the ${button.textContent.toLowerCase()} theme`);
}
button.hidden = false;
nameTheme();
dark.addEventListener("change", nameTheme);
button.addEventListener("click", () => {
  root.dataset.theme = theme() === "dark" ? "light" : "dark";
  try { localStorage.setItem("theme", root.dataset.theme); } catch { /* for this page only */ }
  nameTheme();
});

// Suggestions: a list below the search box, used with the arrow keys.
function suggestions(form) {
  const box = form.querySelector("input[type=search]");
  const list = document.createElement("ul");
  list.id = `suggestions-${Math.random().toString(36).slice(2)}`;
  list.className = "suggestions";
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "Suggestions");
  list.hidden = true;
  form.append(list);
  box.setAttribute("role", "combobox");
  box.setAttribute("aria-expanded", "false");
  box.setAttribute("aria-controls", list.id);
  box.setAttribute("aria-autocomplete", "list");
  let chosen = -1, timer = 0, latest = 0;

  function show(open) {
    list.hidden = !open;
    box.setAttribute("aria-expanded", String(open));
    if (!open) { chosen = -1; box.removeAttribute("aria-activedescendant"); }
  }
  function choose(at) {
    const items = [...list.children];
    chosen = (at + items.length) % items.length;
    items.forEach((item, i) => item.setAttribute("aria-selected", String(i === chosen)));
    box.setAttribute("aria-activedescendant", items[chosen].id);
  }
  function go(item) { location.href = item.dataset.href; }
  function href(row) {
    if (row.href) return row.href;
    const name = encodeURIComponent(row.name).replaceAll(".", "%2E");
    if (row.kind === "relation") return `/relation/${name}`;
    if (row.kind === "fact") return `/fact/${name}`;
    return `/?q=${encodeURIComponent(row.name)}`;
  }
  // Pages that are files have an index of names with their pages, instead of a server.
  let index = null;
  async function indexed(typed) {
    const url = new URL(form.dataset.index, location.href);
    index ||= fetch(url).then((answer) => answer.json());
    const plain = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
    const words = plain(typed);
    const found = (await index).filter(([name]) => plain(name).includes(words));
    const begins = (row) => !plain(row[0]).startsWith(words);
    found.sort((a, b) => begins(a) - begins(b) || a[0].length - b[0].length);
    return found.slice(0, 8).map(([name, kind, file]) => ({ name, kind, href: new URL(file, url).href }));
  }
  async function suggested(typed) {
    const answer = await fetch(`/suggest.json?q=${encodeURIComponent(typed)}`);
    return (await answer.json()).tables.suggestions.rows;
  }
  async function ask() {
    const number = ++latest;
    if (!box.value.trim()) { show(false); return; }
    let rows;
    try { rows = await (form.dataset.index ? indexed : suggested)(box.value); } catch { rows = []; }
    if (number !== latest) return;
    list.replaceChildren(...rows.map((row, i) => {
      const item = document.createElement("li");
      item.id = `${list.id}-${i}`;
      item.setAttribute("role", "option");
      item.dataset.href = href(row);
      const name = document.createElement("bdi"), kind = document.createElement("span");
      name.textContent = row.name;
      kind.textContent = row.kind;
      item.append(name, kind);
      item.addEventListener("pointerdown", (event) => { event.preventDefault(); go(item); });
      return item;
    }));
    show(rows.length > 0);
  }
  box.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(ask, 120); });
  box.addEventListener("blur", () => show(false));
  if (form.dataset.index) {
    form.hidden = false;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (!list.hidden) go(list.firstElementChild);
    });
  }
  box.addEventListener("keydown", (event) => {
    if (list.hidden) return;
    if (event.key === "ArrowDown") { event.preventDefault(); choose(chosen + 1); }
    else if (event.key === "ArrowUp") { event.preventDefault(); choose(chosen < 0 ? -1 : chosen - 1); }
    else if (event.key === "Escape") { event.preventDefault(); show(false); }
    else if (event.key === "Enter" && chosen >= 0) { event.preventDefault(); go(list.children[chosen]); }
  });
}
document.querySelectorAll("form.find").forEach(suggestions);

// "/" goes to the search box, as on many sites.
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target.closest("input, select, textarea")) return;
  const box = document.querySelector("form.find input");
  if (box) { event.preventDefault(); box.focus(); }
});

// Forms act at once: the page is asked for anew, and its parts are replaced.
function live(form) {
  let timer = 0, latest = 0;
  form.querySelector("button[type=submit]").hidden = true;
  async function follow() {
    const number = ++latest;
    const url = new URL(form.getAttribute("action"), location.href);
    url.search = new URLSearchParams(new FormData(form)).toString();
    document.body.classList.add("busy");
    try {
      const answer = await fetch(url);
      const text = await answer.text();
      if (number !== latest) return;
      const page = new DOMParser().parseFromString(text, "text/html");
      if (!answer.ok || !page.querySelector("main .parts")) { location.href = url; return; }
      for (const name of [".parts", ".facts", ".lead", "h1", "footer"]) {
        const [old, fresh] = [document, page].map((one) => one.querySelector(name));
        if (old && fresh) old.replaceWith(fresh);
      }
      history.replaceState(null, "", url);
    } catch { location.href = url; }
    finally { if (number === latest) document.body.classList.remove("busy"); }
  }
  form.addEventListener("input", (event) => {
    const output = event.target.parentElement.querySelector("output");
    if (output) output.textContent = Number(event.target.value).toFixed(2);
    clearTimeout(timer);
    timer = setTimeout(follow, event.target.type === "range" ? 150 : 0);
  });
}
document.querySelectorAll("form[data-live]").forEach(live);
