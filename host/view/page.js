"use strict";
// Embeds the figures, steps through images, sorts tables, and updates the page if it is served.
(() => {
  const page = JSON.parse(document.getElementById("data").textContent);
  const find = (name) => Bokeh.documents.map((doc) => doc.get_model_by_name(name)).find((model) => model) ?? null;

  // values: row by row, the first row first; if the picture's shape has changed, the page is reloaded instead
  const picture = (name, values) => {
    const source = find(name);
    const image = source?.data.image[0];
    if (image?.length !== values.length) return;
    image.set(Array.from(values, (value) => (value === null || value === page.gap ? NaN : value)));
    source.change.emit();
  };

  const unpack = async (text) => {
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint16Array(await new Response(stream).arrayBuffer());
  };

  class Stepper {
    constructor(root) {
      this.run = root.dataset.run;
      this.timer = null;
      this.part = (name) => root.querySelector(`.${name}`);
      this.slider = this.part("sweep");
      this.part("choice").addEventListener("change", () => this.choose());
      this.slider.addEventListener("input", () => this.show());
      this.part("back").addEventListener("click", () => this.show(-1));
      this.part("next").addEventListener("click", () => this.show(1));
      this.part("play").addEventListener("click", () => this.play(this.timer === null));
    }

    play(on) {
      clearInterval(this.timer);
      this.timer = on ? setInterval(() => this.show(1), 300) : null;
      this.part("play").textContent = on ? "Pause" : "Play";
      this.part("play").setAttribute("aria-pressed", String(on));
      // screen readers should not read out each step of an animation
      this.part("where").setAttribute("aria-live", on ? "off" : "polite");
    }

    async load() {
      const images = page.steps[`steps-${this.run}`];
      const select = this.part("choice");
      const chosen = Math.max(0, Math.min(select.selectedIndex, images.length - 1));
      select.replaceChildren(...images.map(({ title }, i) => new Option(`${i + 1}: ${title}`)));
      select.selectedIndex = chosen;
      await this.choose();
    }

    async choose() {
      const image = page.steps[`steps-${this.run}`][this.part("choice").selectedIndex];
      const unpacked = Object.entries(image.frames).map(async ([name, text]) => [name, await unpack(text)]);
      this.frames = await Promise.all(unpacked);
      this.says = image.says;
      this.slider.max = String(image.says.length - 1);
      this.part("image").src = image.image;
      this.part("moved").textContent = image.moved;
      find(`step-lines-${this.run}`).data = image.lines;
      for (const [name, values] of Object.entries(image.updates)) picture(`step-${name}-${this.run}`, values);
      this.show();
    }

    // further: number of sweeps to advance, cyclically
    show(further = 0) {
      const count = this.says.length;
      const sweep = (Number(this.slider.value) + further + count) % count;
      this.slider.value = String(sweep);
      this.slider.setAttribute("aria-valuetext", this.says[sweep].split(".")[0]);
      this.part("where").textContent = this.says[sweep];
      find(`step-mark-${this.run}`).location = sweep;
      for (const [name, values] of this.frames) {
        const size = values.length / count;
        picture(`step-${name}-${this.run}`, values.subarray(sweep * size, (sweep + 1) * size));
      }
    }
  }

  // sorts the rows by the selected column, numerically where it has numbers
  const sort = (table) => {
    const head = table.querySelector("[aria-sort]");
    if (!head) return;
    const sign = head.ariaSort === "ascending" ? 1 : -1;
    const text = (row) => row.cells[head.cellIndex].textContent;
    const number = (text) => Number(text.split(/[ %]/)[0]); // NaN for a name, even if it begins with digits
    const order = (a, b) => number(a) - number(b) || a.localeCompare(b, undefined, { numeric: true });
    // empty cells last, in both directions
    const either = (a, b) => (a === "") - (b === "") || sign * order(a, b);
    table.tBodies[0].append(...[...table.tBodies[0].rows].sort((a, b) => either(text(a), text(b))));
  };

  const sortBy = ({ currentTarget }) => {
    const head = currentTarget.parentElement;
    const order = head.ariaSort === "ascending" ? "descending" : "ascending";
    for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
    head.ariaSort = order;
    sort(head.closest("table"));
  };

  const renew = async (content) => {
    for (const [name, columns] of Object.entries(content.tables)) {
      const source = find(name);
      if (source) source.data = columns;
    }
    for (const [name, values] of Object.entries(content.images)) picture(name, values);
    for (const [id, text] of Object.entries(content.texts)) {
      const element = document.getElementById(id);
      if (element && element.innerHTML !== text) element.innerHTML = text;
    }
    document.querySelectorAll(".sorted").forEach(sort);
    if (content.steps) {
      page.steps = content.steps;
      for (const stepper of page.steppers) await stepper.load();
    }
  };

  const watch = async () => {
    const status = document.getElementById("status");
    let wait = page.live.seconds;
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, 1000 * wait));
      let content;
      try {
        const answer = await fetch(`${page.live.url}&since=${page.version}`, { cache: "no-store" });
        if (!answer.ok) throw new Error(await answer.text());
        content = await answer.json();
      } catch {
        status.textContent = "The server of this page is gone; what it showed last stays.";
        status.className = "lost";
        wait = Math.min(2 * wait, 30);
        continue;
      }
      if (content.structure !== undefined && content.structure !== page.structure) return location.reload();
      if (content.tables) await renew(content);
      page.version = content.version;
      status.textContent = content.error ? content.error : `Live, ${new Date().toLocaleTimeString()}.`;
      status.className = content.error ? "lost" : "";
      wait = page.live.seconds;
    }
  };

  const start = async () => {
    for (const [key, item] of Object.entries(page.items)) await Bokeh.embed.embed_item(item, `plot-${key}`);
    page.steppers = [...document.querySelectorAll(".stepper")].map((root) => new Stepper(root));
    for (const stepper of page.steppers) await stepper.load();
    for (const button of document.querySelectorAll(".sorted button")) button.addEventListener("click", sortBy);
    document.querySelectorAll(".sorted").forEach(sort);
    // reload, as Bokeh reads the page's colours only when it draws
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => location.reload());
    document.body.dataset.ready = "yes";
    if (page.live) await watch();
  };
  start();
})();
