// Draws the chart of Today with a cursor, from the figures that stand in the page; without it the server's stays.

const HEIGHT = 260
const place = document.querySelector("[data-sessrec-plot]")
const figures = document.getElementById("sessrec-plot-data")

function flag(plot, moments, colour) {
  const { ctx, bbox } = plot
  ctx.save()
  ctx.strokeStyle = colour
  ctx.lineWidth = 1.5 * devicePixelRatio
  ctx.setLineDash([2 * devicePixelRatio, 4 * devicePixelRatio])
  for (const moment of moments) {
    const x = plot.valToPos(moment, "x", true)
    ctx.beginPath()
    ctx.moveTo(x, bbox.top)
    ctx.lineTo(x, bbox.top + bbox.height)
    ctx.stroke()
  }
  ctx.restore()
}

function draw() {
  const data = JSON.parse(figures.textContent)
  const style = getComputedStyle(place.querySelector(".sessrec-chart"))
  const colour = (name) => style.getPropertyValue(name).trim()
  const line = colour("--sessrec-1")
  const day = (seconds) => new Date(seconds * 1e3).toLocaleDateString(document.documentElement.lang, { timeZone: "UTC", day: "numeric", month: "short" })
  const days = [1, 2, 7, 14, 28].map((number) => number * 86400)
  const axis = { stroke: style.color, grid: { stroke: "rgba(128, 128, 128, .2)", width: 1 }, ticks: { show: false } }
  const options = {
    width: place.clientWidth,
    height: HEIGHT,
    tzDate: (seconds) => window.uPlot.tzDate(new Date(seconds * 1e3), "Etc/UTC"),
    series: [
      { label: data.labels.day, value: (_plot, seconds) => (seconds ? day(seconds) : "–") },
      { label: data.labels.now, stroke: line, width: 2 },
      { label: data.labels.before, show: data.before.some(Boolean), stroke: colour("--sessrec-2"), width: 1.5, dash: [6, 5] },
      { show: true, stroke: "transparent", points: { show: false } },
      { show: true, stroke: "transparent", points: { show: false } },
    ],
    bands: [{ series: [4, 3], fill: `color-mix(in srgb, ${line} 14%, transparent)` }],
    axes: [{ ...axis, incrs: days, values: (_plot, splits) => splits.map(day) }, { ...axis, size: 64 }],
    hooks: { drawAxes: [(plot) => flag(plot, data.flags, colour("--sessrec-3"))] },
    scales: { y: { range: (_plot, _low, high) => [0, (high || 1) * 1.05] } },
  }
  const chart = place.querySelector(".sessrec-plot")
  chart.replaceChildren()
  chart.classList.add("sessrec-drawn")
  const plot = new window.uPlot(options, [data.days, data.now, data.before, data.low, data.high], chart)
  const shown = data.before.some(Boolean) ? 3 : 2
  for (const row of [...plot.root.querySelectorAll(".u-series")].slice(shown)) row.style.display = "none" // the band's edges
  new ResizeObserver(() => plot.setSize({ width: place.clientWidth, height: HEIGHT })).observe(place)
}

if (place && figures && window.uPlot) draw()
