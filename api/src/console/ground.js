// What the maps of the console share: the ground that they are drawn on, colours that follow the page's, and plotly,
// which brings the map.

// Degrees of the longer side of the widest window of which the server shows towns and taxis.
export const WIDEST = 0.99;

export const none = { type: "FeatureCollection", features: [] };
export const ofKind = (kind) => ["==", ["get", "kind"], kind];
export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const statuses = { free: "--free", occupied: "--occupied", answering: "--oncoming", oncoming: "--oncoming" };
// The colour of a taxi.
export const ofStatus = () => [
  "match", ["get", "status"],
  ...Object.entries(statuses).flatMap(([status, name]) => [status, colour(name)]), colour("--off"),
];

// A style of these sources: the ground, tiles if there are any, and the layers that `draw` adds, the lowest first.
export function style(sources, tiles, draw) {
  const layers = [{ id: "ground", type: "background", paint: { "background-color": colour("--ground") } }];
  if (tiles) layers.push({ id: "tiles", type: "raster", source: "tiles" });
  draw((id, type, source, paint, filter) => layers.push({ id, type, source, paint, ...(filter && { filter }) }));
  const raster = tiles && { tiles: { type: "raster", tiles: [tiles], tileSize: 256 } };
  return { version: 8, sources: { ...sources, ...raster }, layers };
}

// The map of a place, where Enter does something at its middle: drawn as `styled` says, in other colours when those of
// the page change. Null in a browser without WebGL, whose page does without.
export async function show(place, styled, enter) {
  place.hidden = false;
  const { lat, lon, zoom } = place.dataset;
  const drawn = Plotly.newPlot(
    place,
    [{ type: "scattermap", lat: [], lon: [] }],
    {
      map: { style: styled(), center: { lat: Number(lat), lon: Number(lon) }, zoom: Number(zoom) },
      margin: { t: 0, r: 0, b: 0, l: 0 }, paper_bgcolor: "transparent", dragmode: "pan", showlegend: false,
    },
    { displayModeBar: false, scrollZoom: true, responsive: true },
  );
  const map = await drawn.then(() => place._fullLayout.map._subplot.map).catch(() => null);
  if (!map) {
    place.hidden = true;
    return null;
  }
  map.getCanvas().setAttribute(
    "aria-label",
    `Carte : les flèches la déplacent, + et - l’approchent et l’éloignent, Entrée ${enter} son milieu`,
  );
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    for (const { id, paint = {} } of styled().layers) {
      for (const [name, value] of Object.entries(paint)) map.setPaintProperty(id, name, value);
    }
  });
  return map;
}
