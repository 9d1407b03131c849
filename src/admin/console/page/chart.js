// The chart of the last five minutes: deliveries on each platform, as stacked bars of five seconds.
//
// Owns that a bar keeps its position until it leaves, so the chart moves only every five seconds.

import { PLATFORMS, TEXTS } from "./catalogue.js";
import { el, svg } from "./elements.js";
import { capital, number, onTheClock, rate, series } from "./words.js";

const BAR = 5000;
const BARS = 60;
const WIDTH = 600;
const HEIGHT = 120;
const NAMES = Object.keys(PLATFORMS);

/// The chart. `ticks` are pairs of a time and the deliveries on each platform until that time.
export function chart() {
  const bars = svg("g");
  const top = el("span", { class: "top" });
  const middle = el("span", { class: "middle" });
  const picture = svg(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" },
    [0, 0.5, 1].map((share) => svg("line", { class: "grid", x1: 0, x2: WIDTH, y1: HEIGHT * share, y2: HEIGHT * share })),
    bars,
  );
  const legend = NAMES.map((name, index) => el("li", {}, el("span", { class: `swatch ${series(index)}`, "aria-hidden": "true" }), PLATFORMS[name]));
  const element = el(
    "figure",
    { class: "chart" },
    el("figcaption", {}, el("h2", {}, capital(TEXTS.DELIVERED_PER_SECOND)), el("ul", { class: "legend" }, legend)),
    el("div", { class: "plot" }, el("div", { class: "scale", "aria-hidden": "true" }, top, middle, el("span", {}, "0")), picture),
    el("div", { class: "axis", "aria-hidden": "true" }, el("span", {}, "5 minutes ago"), el("span", {}, "now")),
  );

  const draw = (ticks) => {
    if (ticks.length < 2) return;
    const columns = gathered(ticks);
    const largest = Math.max(1, ...columns.map(({ sum }) => sum / (BAR / 1000)));
    const scale = nice(largest);
    top.textContent = rate(scale);
    middle.textContent = rate(scale / 2);
    bars.replaceChildren(...columns.filter(({ sum }) => sum > 0).map((column) => stack(column, scale)));
    const total = columns.reduce((before, { sum }) => before + sum, 0);
    picture.setAttribute("aria-label", `${number(total)} delivered in the last five minutes, at most ${rate(largest)} a second.`);
  };
  return { element, draw };
}

/// The deliveries within each bar.
function gathered(ticks) {
  const last = Math.floor(ticks.at(-1)[0] / BAR);
  const columns = Array.from({ length: BARS }, (_, place) => ({
    at: (last - BARS + 1 + place) * BAR,
    place,
    of: NAMES.map(() => 0),
    sum: 0,
  }));
  ticks.slice(1).forEach(([at, of], before) => {
    const column = columns[Math.floor(at / BAR) - last + BARS - 1];
    of.forEach((count, platform) => {
      const more = count - ticks[before][1][platform];
      if (column && more > 0) {
        column.of[platform] += more;
        column.sum += more;
      }
    });
  });
  return columns;
}

function stack({ at, place, of, sum }, scale) {
  const width = WIDTH / BARS;
  let y = HEIGHT;
  const parts = of.map((count, platform) => {
    const height = (HEIGHT * count) / (BAR / 1000) / scale;
    y -= height;
    return count > 0 && svg("rect", { class: series(platform), x: place * width + 1, y, width: width - 2, height });
  });
  return svg("g", {}, svg("title", {}, `${onTheClock(at)}: ${number(sum)} in 5 s`), parts.filter(Boolean));
}

/// The next round number for a scale.
function nice(largest) {
  const unit = 10 ** Math.floor(Math.log10(largest));
  return [1, 2, 5, 10].map((step) => step * unit).find((step) => step >= largest);
}
