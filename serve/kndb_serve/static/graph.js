// Lets people drag, zoom and filter the drawing of a graph, which is there without it.

const svg = document.querySelector("svg.network");
const stage = svg.querySelector(".all");
const named = new Map(), edges = [];
for (const element of svg.querySelectorAll(".node")) {
  const [x, y] = element.getAttribute("transform").match(/-?[\d.]+/g).map(Number);
  named.set(element.dataset.node, {
    element, x, y, edges: [], kind: element.dataset.kind,
    text: element.querySelector("title").textContent.toLowerCase(),
  });
}
for (const element of svg.querySelectorAll(".edge")) {
  const { a, b, bend, share } = element.dataset;
  const edge = { element, a: named.get(a), b: named.get(b), bend: Number(bend), share: Number(share) };
  edge.a.edges.push(edge);
  edge.b.edges.push(edge);
  edges.push(edge);
}

function place(node) {
  node.element.setAttribute("transform", `translate(${node.x},${node.y})`);
  for (const { element, a, b, bend } of node.edges) {
    element.setAttribute("d", `M${a.x},${a.y}Q${(a.x + b.x) / 2 + bend},${(a.y + b.y) / 2} ${b.x},${b.y}`);
  }
}

// Drag: a node that was moved is not followed as a link.
const drag = d3.drag()
  .clickDistance(4)
  .subject(function () { const { x, y } = named.get(this.dataset.node); return { x, y }; })
  .on("drag", function (event) {
    const node = named.get(this.dataset.node);
    [node.x, node.y] = [event.x, event.y];
    place(node);
  });
d3.select(svg).selectAll(".node").call(drag).on("dragstart", (event) => event.preventDefault());

// Zoom: the wheel alone still scrolls the page.
const zoom = d3.zoom()
  .scaleExtent([0.3, 6])
  .filter((event) => (event.type === "wheel" ? event.ctrlKey || event.metaKey : !event.button))
  .on("zoom", (event) => stage.setAttribute("transform", event.transform));
d3.select(svg).call(zoom).on("dblclick.zoom", null);

// What a node is joined to stands out while it is pointed at or focused.
function near(node) {
  svg.classList.toggle("some", Boolean(node));
  const close = new Set();
  for (const { a, b, element } of node ? node.edges : []) { close.add(a).add(b); element.classList.add("near"); }
  if (node) close.add(node);
  else edges.forEach(({ element }) => element.classList.remove("near"));
  for (const one of named.values()) one.element.classList.toggle("near", close.has(one));
}
for (const node of named.values()) {
  for (const [begin, end] of [["pointerenter", "pointerleave"], ["focus", "blur"]]) {
    node.element.addEventListener(begin, () => { near(null); near(node); });
    node.element.addEventListener(end, () => near(null));
  }
}

// Filters.
const tools = document.createElement("form");
tools.className = "fields tools";
tools.setAttribute("aria-label", "The drawing");
tools.addEventListener("submit", (event) => event.preventDefault());

function labelled(text, input, after = false) {
  const label = document.createElement("label");
  label.append(...(after ? [input, ` ${text}`] : [text, input]));
  if (after) label.className = "tick";
  return label;
}
function field(type, values) {
  return Object.assign(document.createElement("input"), { type, ...values });
}
function button(text, act) {
  const made = Object.assign(document.createElement("button"), { type: "button", textContent: text });
  made.addEventListener("click", act);
  return made;
}

const find = field("search", { autocomplete: "off", dir: "auto" });
const least = field("range", { min: 0, max: 1, step: 0.05, value: 0 });
const kinds = new Map();
for (const [kind, text] of [["relation", "Relations"], ["fact", "Facts"], ["language", "Languages"]]) {
  if ([...named.values()].some((node) => node.kind === kind)) {
    kinds.set(kind, [text, field("checkbox", { checked: true })]);
  }
}

function filter() {
  const words = find.value.trim().toLowerCase();
  const matches = (node) => node.text.includes(words);
  const isOff = (node) => kinds.has(node.kind) && !kinds.get(node.kind)[1].checked;
  const kept = new Set();
  for (const edge of edges) {
    const { a, b, element, share } = edge;
    const on = !isOff(a) && !isOff(b) && share >= Number(least.value) && (!words || matches(a) || matches(b));
    element.classList.toggle("off", !on);
    if (on) kept.add(a).add(b);
  }
  for (const node of named.values()) {
    const on = kept.has(node) || (words && matches(node) && !isOff(node));
    node.element.classList.toggle("off", !on);
  }
}
tools.addEventListener("input", filter);

// A picture: the same shapes on a canvas, as a file.
function picture() {
  const box = svg.viewBox.baseVal, scale = 2;
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [box.width * scale, box.height * scale];
  const pen = canvas.getContext("2d");
  pen.scale(scale, scale);
  pen.fillStyle = getComputedStyle(document.body).backgroundColor;
  pen.fillRect(0, 0, box.width, box.height);
  const { x, y, k } = d3.zoomTransform(svg);
  pen.translate(x, y);
  pen.scale(k, k);
  for (const { element } of edges) {
    const style = getComputedStyle(element);
    if (style.display === "none") continue;
    pen.globalAlpha = Number(style.strokeOpacity);
    pen.strokeStyle = style.stroke;
    pen.lineWidth = parseFloat(style.strokeWidth);
    pen.stroke(new Path2D(element.getAttribute("d")));
  }
  pen.globalAlpha = 1;
  for (const { element, x: left, y: top } of named.values()) {
    if (getComputedStyle(element).display === "none") continue;
    const shape = element.querySelector("path"), text = element.querySelector("text");
    const style = getComputedStyle(text);
    pen.save();
    pen.translate(left, top);
    pen.fillStyle = getComputedStyle(shape).fill;
    pen.fill(new Path2D(shape.getAttribute("d")));
    pen.font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
    pen.textAlign = style.textAnchor === "end" ? "right" : "left";
    pen.fillStyle = style.fill;
    pen.fillText(text.textContent, Number(text.getAttribute("x")), Number(text.getAttribute("y")));
    pen.restore();
  }
  canvas.toBlob((file) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(file);
    link.download = `${document.querySelector("h1").textContent}.png`;
    link.click();
    URL.revokeObjectURL(link.href);
  });
}

const view = d3.select(svg);
const buttons = document.createElement("div");
buttons.className = "buttons";
buttons.append(
  button("Closer", () => view.call(zoom.scaleBy, 1.4)),
  button("Farther", () => view.call(zoom.scaleBy, 1 / 1.4)),
  button("Whole", () => view.call(zoom.transform, d3.zoomIdentity)),
  button("PNG", picture),
);
const boxes = document.createElement("div");
boxes.className = "buttons";
boxes.append(...[...kinds.values()].map(([text, box]) => labelled(text, box, true)));
tools.append(labelled("Find", find), labelled("Weakest line", least), boxes, buttons);
svg.closest("figure").before(tools);
