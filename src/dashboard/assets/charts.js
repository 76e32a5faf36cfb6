/**
 * Draws the plots of the overview with uPlot, from the figures that the page carries.
 *
 * Owns only the canvases: the same figures are in the page's table.
 */
(() => {
  "use strict";

  const HEIGHT = 172;
  /** @type {{ plot: uPlot, area: Element }[]} */
  let drawn = [];

  const locale = document.documentElement.lang;
  const timeZone = globalThis.oar.zone;
  const compact = new Intl.NumberFormat(locale, { notation: "compact", maximumSignificantDigits: 3 });
  const percent = new Intl.NumberFormat(locale, { style: "percent", maximumFractionDigits: 1 });

  const FORMATS = {
    rate: (value) => compact.format(value),
    count: (value) => compact.format(value),
    percent: (value) => percent.format(value),
    money: (value) => `$${value >= 0.995 || value === 0 ? value.toFixed(2) : +value.toPrecision(2)}`,
    duration: (value) => value < 1000 ? `${Math.round(value)} ms` : `${+(value / 1000).toFixed(1)} s`,
  };

  /** The axis ends at a round number, and never at 0. */
  const CEILINGS = {
    rate: (max) => Math.max(max, 0.01) * 1.1,
    count: (max) => Math.max(max, 1) * 1.1,
    percent: (max) => Math.max(max * 1.2, 0.05),
    money: (max) => Math.max(max, 1e-6) * 1.1,
    duration: (max) => Math.max(max, 10) * 1.1,
  };

  const OUTLIER_FACTOR = 4;
  const CLIPPED_FACTOR = 1.6;

  /**
   * Where the axis is cut off when a few values would flatten all others: above what nine of ten stay below. Infinity when
   * none does.
   */
  function clippedAt(series) {
    const values = series.flatMap((each) => each.values).filter((value) => value !== null && value > 0);
    if (values.length < 5) return Infinity;
    values.sort((a, b) => a - b);
    const most = values[Math.floor((values.length - 1) * 0.9)];
    return values.at(-1) > OUTLIER_FACTOR * most ? CLIPPED_FACTOR * most : Infinity;
  }

  /** Small triangles at the upper edge, where values are higher. */
  function clippedMarks(limit) {
    return {
      hooks: {
        draw: (plot) => {
          const { ctx, bbox } = plot;
          const size = 5 * devicePixelRatio;
          for (let index = 1; index < plot.series.length; index++) {
            ctx.fillStyle = plot.series[index].stroke(plot, index);
            for (const [at, value] of plot.data[index].entries()) {
              if (value === null || value <= limit) continue;
              const x = plot.valToPos(plot.data[0][at], "x", true);
              ctx.beginPath();
              ctx.moveTo(x, bbox.top);
              ctx.lineTo(x - size, bbox.top + size * 1.6);
              ctx.lineTo(x + size, bbox.top + size * 1.6);
              ctx.fill();
            }
          }
        },
      },
    };
  }

  /** A click shows the records of its step. */
  function opensRecords(step, query) {
    return {
      hooks: {
        ready: (plot) => {
          plot.over.addEventListener("click", () => {
            const { idx } = plot.cursor;
            if (idx === null || idx === undefined) return;
            const fromMs = plot.data[0][idx] * 1000;
            const parameters = new URLSearchParams(query);
            parameters.set("since", new Date(fromMs).toISOString());
            parameters.set("until", new Date(fromMs + step * 1000 - 1).toISOString());
            location.assign(`${location.pathname.replace(/\/$/, "")}/records?${parameters}`);
          });
        },
      },
    };
  }

  /** Plots that are shown to their highest value, by their title; it survives that the figures are fetched again. */
  const whole = new Set();

  function titleOf(figure) {
    return figure.querySelector("h2, h3").textContent;
  }

  function showClipping(area, { highest, isClipped }) {
    const figure = area.closest("figure");
    const title = titleOf(figure);
    figure.querySelector(".plot-clipped")?.remove();
    if (highest === null) return;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "button-plain plot-clipped";
    button.setAttribute("aria-pressed", String(!isClipped));
    button.textContent = `▲ ${area.dataset.clipped} ${highest}`;
    button.addEventListener("click", () => {
      if (!whole.delete(title)) whole.add(title);
      drawAll();
    });
    figure.querySelector("figcaption").append(button);
  }

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  }

  function tooltip(format) {
    const tip = document.createElement("div");
    tip.className = "plot-tip";
    tip.hidden = true;
    return {
      hooks: {
        init: (plot) => plot.over.append(tip),
        setCursor: (plot) => {
          const { idx, left } = plot.cursor;
          const isOutside = idx === null || idx === undefined || left < 0;
          tip.hidden = isOutside;
          if (isOutside) return;
          const at = new Date(plot.data[0][idx] * 1000);
          const values = plot.series.slice(1).map((series, index) => {
            const value = plot.data[index + 1][idx];
            return `${series.label} ${value === null ? "–" : format(value)}`;
          });
          const when = at.toLocaleString(locale, { dateStyle: "short", timeStyle: "short", timeZone });
          tip.textContent = [when, ...values].join(" · ");
          const middle = plot.over.clientWidth / 2;
          tip.style.left = left < middle ? `${Math.max(0, left)}px` : "auto";
          tip.style.right = left < middle ? "auto" : `${plot.over.clientWidth - left}px`;
        },
      },
    };
  }

  function draw(area, { times, step }) {
    const { unit, series, query } = JSON.parse(area.dataset.plot);
    const format = FORMATS[unit];
    const limit = unit === "percent" ? Infinity : clippedAt(series);
    const isWhole = whole.has(titleOf(area.closest("figure")));
    const highest = Math.max(0, ...series.flatMap(({ values }) => values.map((value) => value ?? 0)));
    const isClipped = limit !== Infinity && !isWhole;
    showClipping(area, { highest: limit === Infinity ? null : format(highest), isClipped });
    const axis = {
      stroke: colour("ink-soft"),
      grid: { stroke: colour("line"), width: 1 },
      ticks: { show: false },
      font: "11px system-ui, sans-serif",
    };
    const isOne = series.length === 1;
    const options = {
      width: area.clientWidth,
      height: HEIGHT,
      padding: [10, 18, 0, 0],
      legend: { show: false },
      cursor: { y: false, points: { size: 7 }, drag: { x: false, y: false } },
      scales: { y: { range: (_plot, _min, max) => [0, isClipped ? limit : CEILINGS[unit](max ?? 0)] } },
      axes: [
        { ...axis, size: 24, gap: 4, space: 60, values: timeTexts },
        { ...axis, size: 52, gap: 4, space: 34, values: (_plot, values) => values.map(format) },
      ],
      series: [
        {},
        ...series.map((each) => ({
          label: each.label,
          stroke: colour(each.colour),
          width: 2,
          fill: isOne || (series.length === 2 && each.colour === "accent")
            ? `color-mix(in srgb, ${colour(each.colour)} 14%, transparent)`
            : undefined,
          spanGaps: false,
          points: { show: true, size: 5, filter: (plot, index) => loneIndexes(plot.data[index]) },
        })),
      ],
      plugins: [
        tooltip(format),
        opensRecords(step, query),
        ...(isClipped ? [clippedMarks(limit)] : []),
      ],
    };
    return new uPlot(options, [times, ...series.map(({ values }) => values)], area);
  }

  /** Values without a neighbour form no line: they are drawn as points, or they would be invisible. */
  function loneIndexes(values) {
    const isThere = (at) => (values[at] ?? null) !== null;
    return [...values.keys()].filter((at) => isThere(at) && !isThere(at - 1) && !isThere(at + 1));
  }

  function timeTexts(_plot, times) {
    const span = times.at(-1) - times[0];
    const style = span > 2 * 86_400
      ? { month: "numeric", day: "numeric" }
      : { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
    const text = new Intl.DateTimeFormat(locale, { ...style, timeZone });
    return times.map((seconds) => text.format(new Date(seconds * 1000)));
  }

  function drawAll() {
    for (const { plot } of drawn) plot.destroy();
    drawn = [];
    for (const group of document.querySelectorAll("[data-plot-times]")) {
      const axis = { times: JSON.parse(group.dataset.plotTimes), step: Number(group.dataset.plotStep) };
      for (const area of group.querySelectorAll("[data-plot]")) drawn.push({ area, plot: draw(area, axis) });
    }
  }

  let resizing = 0;
  addEventListener("resize", () => {
    cancelAnimationFrame(resizing);
    resizing = requestAnimationFrame(() => {
      for (const { area, plot } of drawn) plot.setSize({ width: area.clientWidth, height: HEIGHT });
    });
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  // The page is hidden, or the table is open and must not close while it is read.
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (event.target.id !== "figures") return;
    if (document.hidden || event.target.querySelector("details[open]") !== null) event.preventDefault();
  });
  document.addEventListener("htmx:afterSettle", (event) => {
    if (event.target.querySelector?.("[data-plot-times]") || event.target.id === "figures") drawAll();
  });
  drawAll();
})();
