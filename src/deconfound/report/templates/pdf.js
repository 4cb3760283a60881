/**
 * A PDF page behind the calls of a canvas: Vega draws on it as on any `externalContext`, and the strokes and letters stay
 * vectors. Text is Helvetica, which every reader has; letters that it lacks become a small picture of themselves.
 */
class PdfContext {
  constructor(width, height) {
    this.size = [width, height];
    this.operators = [`1 0 0 -1 0 ${height} cm`]; // PDF counts upwards
    this.states = [];
    this.matrix = [1, 0, 0, 1, 0, 0]; // a canvas moves points when a path is built, a PDF when it is painted: we move them
    this.alphas = new Map();
    this.pictures = [];
    this.pixelRatio = 1;
    Object.assign(this, {
      fillStyle: "#000", strokeStyle: "#000", globalAlpha: 1, lineWidth: 1, lineCap: "butt", lineJoin: "miter",
      miterLimit: 10, font: "10px sans-serif", textAlign: "left", textBaseline: "alphabetic", dash: [], lineDashOffset: 0,
    });
    this.paper = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    this.path = [];
  }

  put(...parts) {
    this.operators.push(parts.map((part) => (typeof part === "number" ? round(part) : part)).join(" "));
  }

  save() {
    const kept = ["fillStyle", "strokeStyle", "globalAlpha", "lineWidth", "lineCap", "lineJoin", "miterLimit", "font"];
    kept.push("textAlign", "dash", "lineDashOffset", "matrix");
    this.states.push(Object.fromEntries(kept.map((name) => [name, this[name]])));
    this.put("q");
  }

  restore() {
    if (!this.states.length) return;
    Object.assign(this, this.states.pop());
    this.put("Q");
  }

  transform(a, b, c, d, e, f) {
    const [m, n, o, p] = this.matrix;
    this.matrix = [a * m + b * o, a * n + b * p, c * m + d * o, c * n + d * p, ...this.moved(e, f)];
  }
  translate(x, y) { this.transform(1, 0, 0, 1, x, y); }
  scale(x, y) { this.transform(x, 0, 0, y, 0, 0); }
  rotate(angle) { this.transform(Math.cos(angle), Math.sin(angle), -Math.sin(angle), Math.cos(angle), 0, 0); }
  setTransform(...matrix) { this.matrix = matrix; }
  clearRect() {}
  setLineDash(dash) { this.dash = dash; }

  /** A point as it lies on the page. */
  moved(x, y) {
    const [a, b, c, d, e, f] = this.matrix;
    return [a * x + c * y + e, b * x + d * y + f];
  }

  beginPath() { this.path = []; }
  closePath() { this.path.push("h"); }
  step(operator, ...numbers) {
    const points = [];
    for (let i = 0; i < numbers.length; i += 2) points.push(...this.moved(numbers[i], numbers[i + 1]));
    this.path.push(`${points.map(round).join(" ")} ${operator}`);
    this.at = numbers.slice(-2);
  }
  moveTo(x, y) { this.step("m", x, y); }
  lineTo(x, y) { this.step(this.path.length ? "l" : "m", x, y); }
  bezierCurveTo(...numbers) { this.step("c", ...numbers); }
  quadraticCurveTo(x1, y1, x, y) {
    const [x0, y0] = this.at;
    const [u, v] = [x0 + (2 / 3) * (x1 - x0), y0 + (2 / 3) * (y1 - y0)];
    this.bezierCurveTo(u, v, x + (2 / 3) * (x1 - x), y + (2 / 3) * (y1 - y), x, y);
  }
  rect(x, y, width, height) {
    this.moveTo(x, y);
    this.lineTo(x + width, y);
    this.lineTo(x + width, y + height);
    this.lineTo(x, y + height);
    this.closePath();
  }

  /** Quarters of a circle or less, each a cubic curve. */
  arc(x, y, radius, start, end, backwards = false) {
    const full = 2 * Math.PI;
    let sweep = backwards ? start - end : end - start;
    sweep = Math.abs(sweep) >= full ? full : ((sweep % full) + full) % full;
    const parts = Math.max(1, Math.ceil(sweep / (Math.PI / 2) - 1e-9));
    const angle = ((backwards ? -1 : 1) * sweep) / parts;
    const pull = (4 / 3) * Math.tan(angle / 4) * radius;
    this.lineTo(x + radius * Math.cos(start), y + radius * Math.sin(start));
    for (let i = 0, a = start; i < parts; i++, a += angle) {
      const b = a + angle;
      this.bezierCurveTo(
        x + radius * Math.cos(a) - pull * Math.sin(a), y + radius * Math.sin(a) + pull * Math.cos(a),
        x + radius * Math.cos(b) + pull * Math.sin(b), y + radius * Math.sin(b) - pull * Math.cos(b),
        x + radius * Math.cos(b), y + radius * Math.sin(b),
      );
    }
  }

  /** Red, green, blue in [0, 1] of any CSS colour, and its opacity as the graphics state. */
  paint(style, operator) {
    this.paper.clearRect(0, 0, 1, 1);
    this.paper.fillStyle = style;
    this.paper.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = this.paper.getImageData(0, 0, 1, 1).data;
    const alpha = round((a / 255) * this.globalAlpha);
    if (!this.alphas.has(alpha)) this.alphas.set(alpha, `A${this.alphas.size}`);
    this.put(r / 255, g / 255, b / 255, operator, `/${this.alphas.get(alpha)}`, "gs");
  }

  fill() {
    this.paint(this.fillStyle, "rg");
    this.put(...this.path, "f");
  }
  stroke() {
    this.paint(this.strokeStyle, "RG");
    this.put(this.lineWidth, "w", { butt: 0, round: 1, square: 2 }[this.lineCap], "J");
    this.put({ miter: 0, round: 1, bevel: 2 }[this.lineJoin], "j", this.miterLimit, "M");
    this.put(`[${[...this.dash].map(round).join(" ")}]`, this.lineDashOffset, "d");
    this.put(...this.path, "S");
  }
  clip() { this.put(...this.path, "W n"); }
  fillRect(x, y, width, height) {
    this.beginPath();
    this.rect(x, y, width, height);
    this.fill();
  }
  strokeText() {}

  measureText(text) {
    this.paper.font = this.font;
    return this.paper.measureText(text);
  }

  fillText(text, x, y) {
    const size = Number(/([\d.]+)px/.exec(this.font)?.[1] ?? 10);
    const isBold = /\b(bold|[6-9]00)\b/.test(this.font);
    const bytes = winAnsi(text);
    this.paper.font = `${isBold ? "bold " : ""}${size}px ${bytes ? "Helvetica, Arial, sans-serif" : "sans-serif"}`;
    const width = this.paper.measureText(text).width;
    const left = x - { left: 0, start: 0, center: 0.5, right: 1, end: 1 }[this.textAlign] * width;
    this.save();
    this.paint(this.fillStyle, "rg");
    if (bytes) {
      const [a, b, c, d] = this.matrix;
      this.put("BT", isBold ? "/F1" : "/F0", size, "Tf", a, b, -c, -d, ...this.moved(left, y), "Tm", `(${bytes}) Tj ET`);
    } else this.picture(text, left, y, size, width, isBold);
    this.restore();
  }

  /** Text as a picture on white at four times its size. */
  picture(text, x, y, size, width, isBold) {
    const canvas = document.createElement("canvas");
    Object.assign(canvas, { width: Math.ceil(4 * width) || 1, height: Math.ceil(6 * size) });
    const paper = canvas.getContext("2d");
    paper.fillStyle = "white";
    paper.fillRect(0, 0, canvas.width, canvas.height);
    Object.assign(paper, { fillStyle: this.fillStyle, font: `${isBold ? "bold " : ""}${4 * size}px sans-serif` });
    paper.fillText(text, 0, 4.4 * size);
    const data = atob(canvas.toDataURL("image/jpeg", 0.95).split(",")[1]);
    const [a, b, c, d] = this.matrix;
    const [wide, high] = [canvas.width / 4, canvas.height / 4];
    const corner = this.moved(x, y + high - 1.1 * size);
    this.put(a * wide, b * wide, -c * high, -d * high, ...corner, "cm", `/I${this.pictures.length}`, "Do");
    this.pictures.push({ data, width: canvas.width, height: canvas.height });
  }

  /** The finished file as bytes. */
  bytes() {
    const content = this.operators.join("\n");
    const fonts = ["Helvetica", "Helvetica-Bold"].map(
      (name, i) => `/F${i} << /Type /Font /Subtype /Type1 /BaseFont /${name} /Encoding /WinAnsiEncoding >>`,
    );
    const states = [...this.alphas].map(([alpha, name]) => `/${name} << /ca ${alpha} /CA ${alpha} >>`);
    const images = this.pictures.map((_, i) => `/I${i} ${5 + i} 0 R`);
    const objects = [
      "<< /Type /Catalog /Pages 2 0 R >>",
      "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
      `<< /Type /Page /Parent 2 0 R /MediaBox [0 0 ${this.size.map(round).join(" ")}] /Contents 4 0 R /Resources << ` +
        `/Font << ${fonts.join(" ")} >> /ExtGState << ${states.join(" ")} >> /XObject << ${images.join(" ")} >> >> >>`,
      `<< /Length ${content.length} >>\nstream\n${content}\nendstream`,
      ...this.pictures.map(
        ({ data, width, height }) =>
          `<< /Type /XObject /Subtype /Image /Width ${width} /Height ${height} /ColorSpace /DeviceRGB ` +
          `/BitsPerComponent 8 /Filter /DCTDecode /Length ${data.length} >>\nstream\n${data}\nendstream`,
      ),
    ];
    let file = "%PDF-1.4\n%\xe2\xe3\xcf\xd3\n";
    const places = objects.map((object, i) => {
      const place = file.length;
      file += `${i + 1} 0 obj\n${object}\nendobj\n`;
      return `${String(place).padStart(10, "0")} 00000 n \n`;
    });
    const table = `xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${places.join("")}`;
    file += `${table}trailer\n<< /Size ${objects.length + 1} /Root 1 0 R >>\nstartxref\n${file.length}\n%%EOF\n`;
    return Uint8Array.from(file, (letter) => letter.charCodeAt(0));
  }
}

const round = (number) => (typeof number === "number" ? Number(number.toFixed(3)) : number);
const WINDOWS = {
  "−": 0x96, "–": 0x96, "—": 0x97, "‘": 0x91, "’": 0x92, "“": 0x93, "”": 0x94, "…": 0x85, "•": 0x95, "€": 0x80,
};

/** Text as the bytes of Helvetica's encoding, escaped for a PDF; null where a letter is not in it. */
function winAnsi(text) {
  let bytes = "";
  for (const letter of String(text)) {
    const code = WINDOWS[letter] ?? letter.codePointAt(0);
    const known = WINDOWS[letter] || (code >= 32 && code < 127) || (code >= 160 && code < 256);
    if (!known) return null;
    bytes += "()\\".includes(letter) ? `\\${letter}` : String.fromCharCode(code);
  }
  return bytes;
}
