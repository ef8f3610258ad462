// Points are drawn with the mouse, a finger or the arrow keys; the server keeps them, fits, and says what to show.
(() => {
  const plane = document.getElementById("plane");
  if (!plane) return;
  const SIDE = 480, SHARES = [0.6, 0.8];
  const at = (id) => document.getElementById(id);
  const [left, right, low, high] = plane.dataset.view.split(" ").map(Number);
  const most = Number(plane.dataset.most);
  const model = at("model"), brush = at("brush"), told = at("told");
  let points = JSON.parse(plane.dataset.points), before = [], cursor = [SIDE / 2, SIDE / 2], asked = 0, timer = null;
  at("tools").hidden = false;
  brush.removeAttribute("hidden");
  const toX = (x) => (x - left) / (right - left) * SIDE, toY = (y) => (high - y) / (high - low) * SIDE;
  const number = (value) => Number(value.toPrecision(6));

  const draw = () => {
    const paths = new Map();
    for (const [x, y, code, side] of points) {
      const key = `dots c${code} s${side}`;
      const mark = side === 2 ? "m-3-3l6 6m-6 0l6-6" : "h0";
      paths.set(key, (paths.get(key) ?? "") + `M${toX(x).toFixed(1)} ${toY(y).toFixed(1)}${mark}`);
    }
    at("dots").replaceChildren(...[...paths].map(([key, d]) => {
      const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
      path.setAttribute("class", key);
      path.setAttribute("d", d);
      return path;
    }));
  };

  const fit = async () => {
    const mine = ++asked, body = new URLSearchParams(new FormData(model));
    body.set("form", document.querySelector("input[name=form]").value);
    body.set("points", JSON.stringify(points));
    plane.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(plane.dataset.fit, { method: "POST", body });
      const said = await answer.json();
      if (mine !== asked) return;
      told.innerHTML = said.told;
      if (answer.ok) {
        at("regions").innerHTML = said.regions;
        at("truth").innerHTML = said.truth;
      }
    } catch {
      told.textContent = "The server does not answer. What was drawn since is not kept yet.";
    }
    if (mine === asked) plane.removeAttribute("aria-busy");
  };
  const soon = () => { clearTimeout(timer); timer = setTimeout(fit, 250); };
  const remember = () => { before.push(points.slice()); if (before.length > 50) before.shift(); };

  const paint = (x, y) => {
    const width = Number(at("width").value), tool = at("tool").value;
    if (tool === "erase") {
      points = points.filter(([a, b]) => Math.hypot(toX(a) - x, toY(b) - y) > width);
    } else {
      for (let left_over = tool === "dot" ? 1 : 3; left_over > 0 && points.length < most; left_over--) {
        const far = tool === "dot" ? 0 : width * Math.sqrt(-2 * Math.log(1 - Math.random())) / 2;
        const turn = 2 * Math.PI * Math.random(), part = Math.random();
        const px = Math.min(SIDE, Math.max(0, x + far * Math.cos(turn)));
        const py = Math.min(SIDE, Math.max(0, y + far * Math.sin(turn)));
        const side = Number(at("side").value);
        points.push([number(left + px / SIDE * (right - left)), number(high - py / SIDE * (high - low)),
          Number(at("class").value), side >= 0 ? side : SHARES.filter((share) => part >= share).length]);
      }
    }
    draw();
    soon();
  };
  const show = (x, y) => {
    cursor = [Math.min(SIDE, Math.max(0, x)), Math.min(SIDE, Math.max(0, y))];
    brush.setAttribute("cx", cursor[0]);
    brush.setAttribute("cy", cursor[1]);
    brush.setAttribute("r", at("tool").value === "dot" ? 3 : at("width").value);
  };
  const place = (event) => {
    const box = plane.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width * SIDE, (event.clientY - box.top) / box.height * SIDE];
  };
  let down = false, last = 0;
  plane.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    plane.setPointerCapture(event.pointerId);
    down = true;
    remember();
    show(...place(event));
    paint(...place(event));
  });
  plane.addEventListener("pointermove", (event) => {
    show(...place(event));
    if (!down || at("tool").value === "dot" || event.timeStamp - last < 15) return;
    last = event.timeStamp;
    paint(...place(event));
  });
  for (const end of ["pointerup", "pointercancel"]) plane.addEventListener(end, () => { down = false; });
  plane.addEventListener("keydown", (event) => {
    const [x, y] = cursor, step = event.shiftKey ? 40 : 8;
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    if (moves[event.key]) show(x + moves[event.key][0], y + moves[event.key][1]);
    else if (event.key === "Enter" || event.key === " ") { remember(); paint(x, y); } else return;
    event.preventDefault();
  });
  at("undo").addEventListener("click", () => { if (before.length) { points = before.pop(); draw(); soon(); } });
  at("clear").addEventListener("click", () => { remember(); points = []; draw(); soon(); });
  model.addEventListener("input", soon);
  model.addEventListener("submit", (event) => { event.preventDefault(); fit(); });
  if (points.length) fit();
})();
