/* stage.js - a pane: the picture, a canvas over it, what was pointed at in words, the scale of what
   is drawn. It turns mouse, touch and keys into points on the picture and offers the drawings all
   views share. A pixel's centre is a whole number, so pixel i begins at i - 1/2. */

class Pane {
  constructor(name, figure) {
    this.name = name;
    this.figure = figure;
    this.frame = figure.querySelector(".frame");
    this.photo = figure.querySelector("img");
    this.photo.alt = report.picture.name || "the picture";
    this.canvas = h("canvas", {
      tabindex: 0,
      role: "application",
      "aria-roledescription": "picture to point at",
    });
    this.frame.append(this.canvas);
    this.title = h("p", { class: "pane-title" });
    this.caption = h("figcaption", { id: newId() });
    this.legend = legend();
    this.chips = h("div", { class: "chips" });
    figure.append(this.title, this.caption, this.chips, this.legend.e);
    this.canvas.setAttribute("aria-describedby", this.caption.id);
    this.whole = document.createElement("canvas"); /* the picture's size, for sets */
    this.listen();
  }

  get W() {
    return this.model().W;
  }
  get H() {
    return this.model().H;
  }

  /* The picture as the model at hand got it. */
  resize() {
    const { W, H } = this;
    if (this.image && this.whole.width === W && this.whole.height === H) return;
    this.frame.style.setProperty("--ratio", W / H);
    Object.assign(this.figure.dataset, { width: W, height: H });
    this.whole.width = W;
    this.whole.height = H;
    this.image = new ImageData(W, H);
  }

  /* Where on the picture [px]. */
  at(event) {
    const r = this.canvas.getBoundingClientRect();
    return {
      y: ((event.clientY - r.top) / r.height) * this.H - 0.5,
      x: ((event.clientX - r.left) / r.width) * this.W - 0.5,
    };
  }

  listen() {
    const c = this.canvas,
      within = p => p.y >= -0.5 && p.x >= -0.5 && p.y < this.H - 0.5 && p.x < this.W - 0.5;
    c.addEventListener("pointermove", e => {
      if (e.pointerType === "touch" || this.s.pinned) return;
      const p = this.at(e);
      if (within(p)) this.point(p);
    });
    c.addEventListener("click", e => {
      app.activate(this);
      const p = this.at(e),
        had = this.s.pinned,
        before = JSON.stringify(view().unitOf(this));
      this.point(p);
      this.s.pinned = !(had && before === JSON.stringify(view().unitOf(this)));
      redraw();
    });
    c.addEventListener("focus", () => app.activate(this));
    c.addEventListener("keydown", e => this.key(e));
  }

  point(p) {
    view().point(this, p);
    redraw();
  }

  key(e) {
    if (e.ctrlKey || e.altKey || e.metaKey) return;
    const step = e.shiftKey ? 5 : 1;
    const moves = {
      ArrowUp: [-step, 0],
      ArrowDown: [step, 0],
      ArrowLeft: [0, -step],
      ArrowRight: [0, step],
    };
    if (moves[e.key]) view().move(this, ...moves[e.key]);
    else if (e.key === "Enter" || e.key === " ") this.s.pinned = !this.s.pinned;
    else if (e.key === "Escape") this.s.pinned = false;
    else if (e.key === "[" || e.key === "PageUp") view().deeper(this, -1);
    else if (e.key === "]" || e.key === "PageDown") view().deeper(this, 1);
    else if (e.key === "x" || e.key === "X") view().flip(this);
    else return;
    e.preventDefault();
    redraw(true);
  }

  /* --- drawing ---------------------------------------------------------------------------- */

  begin() {
    this.resize();
    const r = this.frame.getBoundingClientRect();
    this.width = Math.max(1, r.width);
    this.height = Math.max(1, r.height);
    this.k = this.width / this.W; /* css pixels per pixel of the picture */
    this.g = fit(this.canvas, this.width, this.height);
    this.photo.classList.remove("faded");
  }

  X(x) {
    return (x + 0.5) * this.k;
  }
  Y(y) {
    return ((y + 0.5) * this.height) / this.H;
  }

  /* Lay a veil over all that is not in the set; its holes show as what they are. */
  veil(set, color) {
    const pixels = new Uint32Array(this.image.data.buffer);
    paintSet(pixels, set, color || 0xb8140f0d, 0);
    this.whole.getContext("2d").putImageData(this.image, 0, 0);
    this.g.imageSmoothingEnabled = false;
    this.g.drawImage(this.whole, 0, 0, this.width, this.height);
  }

  /* A line that is seen on anything: light on dark. */
  line(path, color, width, dash) {
    const g = this.g;
    g.lineJoin = g.lineCap = "round";
    g.setLineDash([]);
    g.strokeStyle = dash ? "rgb(0 0 0 / .4)" : "rgb(0 0 0 / .65)";
    g.lineWidth = (width || 2) + (dash ? 1.5 : 2.5);
    g.beginPath();
    path(g);
    g.stroke();
    g.setLineDash(dash || []);
    g.strokeStyle = color || mark.unit;
    g.lineWidth = width || 2;
    g.beginPath();
    path(g);
    g.stroke();
    g.setLineDash([]);
  }

  /* A box whose edges are at half pixels, as setHull gives it. */
  hull(b, color, width, dash) {
    const x = b.x0 * this.k,
      y = (b.y0 * this.height) / this.H;
    const w = (b.x1 - b.x0) * this.k,
      k = ((b.y1 - b.y0) * this.height) / this.H,
      in_ = (width || 2) / 2 + 0.5;
    this.line(
      g => g.rect(x + in_, y + in_, Math.max(1, w - 2 * in_), Math.max(1, k - 2 * in_)),
      color,
      width,
      dash,
    );
  }

  /* A box between centres of pixels, as models give it. */
  box(b, color, width, dash) {
    this.line(
      g =>
        g.rect(
          b[0] * this.k,
          (b[1] * this.height) / this.H,
          (b[2] - b[0]) * this.k,
          ((b[3] - b[1]) * this.height) / this.H,
        ),
      color,
      width,
      dash,
    );
  }

  cross(y, x, color) {
    const X = this.X(x),
      Y = this.Y(y),
      r = 7;
    this.line(
      g => {
        g.moveTo(X - r, Y);
        g.lineTo(X + r, Y);
        g.moveTo(X, Y - r);
        g.lineTo(X, Y + r);
      },
      color || mark.unit,
      2,
    );
  }

  /* The area a cell stands for: a jump by a jump about its centre. */
  cell(y, x, jy, jx, color) {
    if (Math.min(jy, jx) * this.k < 8) return;
    this.hull(
      { y0: y - jy / 2 + 0.5, y1: y + jy / 2 + 0.5, x0: x - jx / 2 + 0.5, x1: x + jx / 2 + 0.5 },
      color || mark.unit,
      1.5,
    );
  }

  ring(y, x, color, r, fill) {
    const g = this.g;
    g.beginPath();
    g.arc(this.X(x), this.Y(y), r || 5, 0, 7);
    if (fill) {
      g.fillStyle = fill;
      g.fill();
    }
    this.line(c => c.arc(this.X(x), this.Y(y), r || 5, 0, 7), color || mark.unit, 1.5);
  }

  label(text, y, x, color) {
    const g = this.g;
    g.font = "600 12px system-ui, sans-serif";
    const w = g.measureText(text).width + 10,
      X = Math.max(1, Math.min(this.width - w - 1, x * this.k));
    const Y = Math.max(18, Math.min(this.height - 1, (y * this.height) / this.H));
    g.fillStyle = color || mark.unit;
    g.beginPath();
    g.roundRect(X, Y - 18, w, 17, 4);
    g.fill();
    g.fillStyle = "#101418";
    g.textBaseline = "middle";
    g.textAlign = "left";
    g.fillText(text, X + 5, Y - 9);
  }

  /* A map of rows x columns of values at centres first + jump * i: squares about the centres. */
  heat(values, rows, columns, first, jump, scale) {
    const image = new ImageData(columns, rows),
      name = rampOf(scale);
    for (let i = 0; i < rows * columns; i++) {
      const t = place(scale, values[i]),
        c = ramps[name][Math.round(255 * t)];
      image.data.set(c, 4 * i);
      image.data[4 * i + 3] = 255 * opacity[name](t);
    }
    const small = document.createElement("canvas");
    small.width = columns;
    small.height = rows;
    small.getContext("2d").putImageData(image, 0, 0);
    this.photo.classList.add("faded");
    this.g.imageSmoothingEnabled = false;
    this.g.drawImage(
      small,
      this.X(first.x - jump.x / 2),
      this.Y(first.y - jump.y / 2),
      jump.x * columns * this.k,
      (jump.y * rows * this.height) / this.H,
    );
  }

  heatPart(part, scale) {
    this.heat(
      numbersOf(part.map),
      part.rows,
      part.columns,
      { y: part.first_y, x: part.first_x },
      { y: part.jump_y, x: part.jump_x },
      scale,
    );
  }

  /* One number for each token of a sequence. */
  tokenHeat(tokens, values, scale) {
    for (const g of tokens.grids) {
      const grid = new Float32Array(g.rows * g.columns);
      for (let y = 0; y < g.rows; y++)
        for (let x = 0; x < g.columns; x++) grid[y * g.columns + x] = values[gridToken(g, y, x)];
      this.heat(
        grid,
        g.rows,
        g.columns,
        { y: g.first_y, x: g.first_x },
        { y: g.jump_y, x: g.jump_x },
        scale,
      );
    }
  }
}

const mark = { unit: "#ffd23f", second: "#7cf3e4", weak: "#ff8a5c" };
