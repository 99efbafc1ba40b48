// Draws the charts of a page: elements whose `data-chart` has plotly's traces and layout.

// The policy of our pages refuses style attributes, some of which plotly sets; what they say may be set as properties.
const setAttribute = Element.prototype.setAttribute;
Element.prototype.setAttribute = function (name, value) {
  if (name === "style") this.style.cssText = value;
  else setAttribute.call(this, name, value);
};

Plotly.register({
  moduleType: "locale",
  name: "fr",
  dictionary: {},
  format: {
    days: ["dimanche", "lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi"],
    shortDays: ["dim.", "lun.", "mar.", "mer.", "jeu.", "ven.", "sam."],
    months: ["janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre",
      "novembre", "décembre"],
    shortMonths: ["janv.", "févr.", "mars", "avr.", "mai", "juin", "juil.", "août", "sept.", "oct.", "nov.", "déc."],
    date: "%d/%m/%Y",
    decimal: ",",
    thousands: "\u202f",
    year: "%Y", month: "%b %Y", dayMonth: "%-d %b", dayMonthYear: "%-d %b %Y",
  },
});

const dark = matchMedia("(prefers-color-scheme: dark)");
const still = { displayModeBar: false, locale: "fr", responsive: true };

// What every chart has: the page's colours, and those of the traces, which are told apart without seeing colours well.
function look() {
  const of = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const axis = { gridcolor: of("--soft"), linecolor: of("--line"), zerolinecolor: of("--line"), automargin: true };
  return {
    paper_bgcolor: "transparent",
    plot_bgcolor: "transparent",
    font: { color: of("--text"), family: "system-ui, sans-serif", size: 14 },
    colorway: dark.matches
      ? ["#a9b4ff", "#ffb86b", "#6fdc9b", "#ff9db0", "#7fd4ff", "#e0c3ff"]
      : ["#000091", "#b34000", "#18753c", "#a8123e", "#0078a0", "#6e3aa7"],
    margin: { t: 16, r: 16, b: 40, l: 48 },
    height: 320,
    separators: ",\u202f",
    // Above: below are names, however long.
    legend: { orientation: "h", x: 0, y: 1, yanchor: "bottom" },
    hoverlabel: { bgcolor: of("--ground"), font: { color: of("--text") } },
    xaxis: { ...axis },
    yaxis: { ...axis, rangemode: "tozero" },
  };
}

// The layout of every chart, with what this one says of itself.
function layout(own) {
  const whole = { ...look(), ...own };
  for (const name of ["xaxis", "yaxis"]) whole[name] = { ...look()[name], ...own[name] };
  return whole;
}

const places = [...document.querySelectorAll("[data-chart]")];
const draw = (place) => {
  const chart = JSON.parse(place.dataset.chart);
  place.hidden = false;
  return Plotly.react(place, chart.data, layout(chart.layout), still);
};
for (const place of places) draw(place);
dark.addEventListener("change", () => places.forEach(draw));
