"use strict";
// Puts the figures into the page, steps through digits, and, where the page is served, keeps it up to date.
(() => {
  const page = JSON.parse(document.getElementById("data").textContent);
  const GAP = page.gap;
  const PHASES = page.phases;
  const state = { steps: page.steps, version: page.version, steppers: [] };

  const find = (name) => {
    for (const doc of Bokeh.documents) {
      const model = doc.get_model_by_name(name);
      if (model) return model;
    }
    return null;
  };

  // values: the first row of the picture first, as everywhere but on a plot's y axis
  const picture = (name, values) => {
    const source = find(name);
    if (!source) return;
    const image = source.data.image[0];
    const [height, width] = image.shape;
    if (values.length !== height * width) return;
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) {
        const value = values[y * width + x];
        image[(height - 1 - y) * width + x] = value === null ? NaN : value;
      }
    source.change.emit();
  };

  const unpack = async (text) => {
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint16Array(await new Response(stream).arrayBuffer());
  };

  class Stepper {
    constructor(root) {
      this.root = root;
      this.run = root.dataset.run;
      this.sweep = 0;
      this.digit = 0;
      this.timer = null;
      this.part = (name) => root.querySelector(`.${name}`);
      this.part("digit").addEventListener("change", (event) => this.choose(Number(event.target.value)));
      this.part("sweep").addEventListener("input", (event) => this.show(Number(event.target.value)));
      this.part("back").addEventListener("click", () => this.show(this.sweep - 1));
      this.part("next").addEventListener("click", () => this.show(this.sweep + 1));
      this.part("play").addEventListener("click", () => this.play(this.timer === null));
      root.addEventListener("keydown", (event) => this.key(event));
    }

    key(event) {
      // a control of its own knows what to do with its keys
      if (event.target !== this.root) return;
      const moves = { ArrowLeft: this.sweep - 1, ArrowRight: this.sweep + 1, Home: 0, End: this.total - 1 };
      if (event.key in moves) this.show(moves[event.key]);
      else if (event.key === " ") this.play(this.timer === null);
      else return;
      event.preventDefault();
    }

    play(on) {
      clearInterval(this.timer);
      this.timer = on ? setInterval(() => this.show((this.sweep + 1) % this.total), 300) : null;
      this.part("play").textContent = on ? "Pause" : "Play";
      this.part("play").setAttribute("aria-pressed", String(on));
      // a page that moves by itself need not be read out at each step
      this.part("where").setAttribute("aria-live", on ? "off" : "polite");
    }

    async load() {
      const digits = state.steps[`steps-${this.run}`];
      const select = this.part("digit");
      select.replaceChildren(
        ...digits.map((digit, i) => {
          const right = digit.label === digit.prediction ? "read rightly" : `read as ${digit.prediction}`;
          return new Option(`${i + 1}: a ${digit.label}, ${right}`, String(i));
        }),
      );
      await this.choose(Math.min(this.digit, digits.length - 1));
    }

    async choose(number) {
      this.digit = number;
      this.part("digit").value = String(number);
      const digit = state.steps[`steps-${this.run}`][number];
      this.at = [];
      this.frames = [];
      for (const [phase, sweeps] of Object.entries(digit.phases)) {
        const layers = await Promise.all(
          digit.frames[phase].map(async (layer) => ({ spikes: await unpack(layer.spikes), xi: await unpack(layer.xi) })),
        );
        for (let t = 0; t < sweeps; t++) {
          this.at.push([phase, t, sweeps]);
          this.frames.push(
            layers.map(({ spikes, xi }) => {
              const size = spikes.length / sweeps;
              return { spikes: spikes.subarray(t * size, (t + 1) * size), xi: xi.subarray(t * size, (t + 1) * size) };
            }),
          );
        }
      }
      this.total = this.at.length;
      this.part("sweep").max = String(this.total - 1);
      picture(`step-image-${this.run}`, digit.image);
      const lines = digit.outputs.map((line, c) => [c, line.map((value) => value / digit.one)]);
      const is = (c, label, other) => (c === digit.label ? label : c === digit.prediction ? other : null);
      find(`step-lines-${this.run}`).data = {
        xs: lines.map(([, line]) => line.map((_, t) => t)),
        ys: lines.map(([, line]) => line),
        name: lines.map(([c]) => `${c}${is(c, " (the label)", " (the prediction)") ?? ""}`),
        colour: lines.map(([c]) => is(c, "#0072b2", "#d55e00") ?? "#b0b0b0"),
        width: lines.map(([c]) => (is(c, 3, 3) ?? 1)),
      };
      digit.updates.forEach((values, i) => {
        const most = Math.max(1, ...values.map((value) => Math.abs(value ?? 0)));
        picture(`step-update-${i + 1}-${this.run}`, values.map((value) => (value === null ? null : value / most)));
      });
      const moved = digit.moved.map(([changed, all], i) => `layer ${i + 1}: ${changed} of ${all}`).join("; ");
      this.part("moved").textContent =
        `Weights that this digit moves, red up and blue down, each picture by its own largest change. ${moved}.`;
      this.show(Math.min(this.sweep, this.total - 1));
    }

    show(sweep) {
      if (!this.total) return;
      this.sweep = Math.max(0, Math.min(sweep, this.total - 1));
      const digit = state.steps[`steps-${this.run}`][this.digit];
      const [phase, t, sweeps] = this.at[this.sweep];
      this.frames[this.sweep].forEach(({ spikes, xi }, i) => {
        picture(`step-spikes-${i + 1}-${this.run}`, Array.from(spikes, (value) => (value === GAP ? null : value)));
        picture(`step-xi-${i + 1}-${this.run}`, Array.from(xi, (value) => (value === GAP ? null : value / digit.one)));
      });
      const mark = find(`step-mark-${this.run}`);
      if (mark) mark.location = this.sweep;
      const fired = digit.fired.map((counts, i) => `layer ${i + 1}: ${counts[this.sweep]}`).join(", ");
      const outputs = digit.outputs.map((line) => line[this.sweep]);
      const most = Math.max(...outputs);
      const leads = most ? `${outputs.flatMap((value, c) => (value === most ? [c] : [])).join(" and ")} at ${(most / digit.one).toFixed(2)}` : "none";
      const text = `${PHASES[phase]}, sweep ${t + 1} of ${sweeps}. Spikes in ${fired}. Largest output: ${leads}.`;
      this.part("where").textContent = text;
      const slider = this.part("sweep");
      slider.value = String(this.sweep);
      slider.setAttribute("aria-valuetext", `${PHASES[phase]}, sweep ${t + 1} of ${sweeps}`);
    }
  }

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
    if (content.steps) {
      state.steps = content.steps;
      for (const stepper of state.steppers) await stepper.load();
    }
  };

  const watch = async () => {
    const status = document.getElementById("status");
    let wait = page.live.seconds;
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, 1000 * wait));
      let content;
      try {
        const answer = await fetch(`${page.live.url}&since=${state.version}`, { cache: "no-store" });
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
      state.version = content.version;
      status.textContent = content.error ? content.error : `Live, ${new Date().toLocaleTimeString()}.`;
      status.className = content.error ? "lost" : "";
      wait = page.live.seconds;
    }
  };

  const start = async () => {
    for (const [key, item] of Object.entries(page.items)) await Bokeh.embed.embed_item(item, `plot-${key}`);
    state.steppers = [...document.querySelectorAll(".stepper")].map((root) => new Stepper(root));
    for (const stepper of state.steppers) await stepper.load();
    document.body.dataset.ready = "yes";
    if (page.live) await watch();
  };
  start();
})();
