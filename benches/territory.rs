//! How fast a point becomes the towns whose taxis may pick up there, beside the plain way of the `geo` crate.
//!
//! The rival is what one would write first: an R-tree of the towns' boxes, and `geo`'s `contains` in each that is hit.
//! It knows no borders and no zones, which is less than what is asked of ours.

use std::fs::File;
use std::hint::black_box;
use std::io::{BufReader, Read as _};
use std::path::Path;
use std::time::Instant;

use anyhow::Context as _;
use api::import::features::towns;
use api::import::zones::zupc;
use api::registry::geometry::territory;
use api::store::places::Places;
use criterion::{Criterion, Throughput};
use engine::geo::{BoundingRect as _, Contains as _, MultiPolygon, Point};
use engine::territory::Territory;
use flate2::bufread::MultiGzDecoder;
use hdrhistogram::Histogram;
use ingest::position::LatLon;
use rand::distr::Distribution as _;
use rand::distr::weighted::WeightedIndex;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use rstar::primitives::{GeomWithData, Rectangle};
use rstar::{AABB, RTree};
use serde_json::Value;

const SEED: u64 = 7;
const POINTS: usize = 100_000;

fn main() -> anyhow::Result<()> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let mut text = String::new();
    let file =
        File::open(data.join("communes.geojson.gz")).context("the open data lies beside the project")?;
    MultiGzDecoder::new(BufReader::new(file)).read_to_string(&mut text)?;
    let began = Instant::now();
    let towns = towns(&text)?.rows;
    println!("{} towns read in {:?}", towns.len(), began.elapsed());
    let codes: Vec<_> = towns.iter().map(|town| town.key.clone()).collect();
    let open = |file: &str| std::fs::read_to_string(data.join(file)).map_err(|error| error.to_string());
    let zupc = zupc(&std::fs::read_to_string(data.join("zupc.json"))?, &codes, open)?.rows;
    let began = Instant::now();
    let territory = territory(Places { towns, zupc, exclusions: Vec::new() })?;
    println!("territory made of rows in {:?}", began.elapsed());
    let index: Value = serde_json::from_str(&std::fs::read_to_string(data.join("communes_index.json"))?)?;
    let points = customers(&index)?;
    println!("seed {SEED}, {POINTS} points");
    let rival = Rival::new(&territory);
    one_by_one(&points, "ours", |at| found(&territory, at));
    one_by_one(&points, "R-tree of boxes and geo's contains", |at| usize::from(rival.town_at(at)));
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("point to the towns allowed");
    group.throughput(Throughput::Elements(1));
    let mut next = points.iter().cycle().copied();
    group.bench_function("ours", |bench| bench.iter(|| found(&territory, next.next().unwrap_or(points[0]))));
    let mut next = points.iter().cycle().copied();
    group.bench_function("R-tree of boxes and geo's contains", |bench| {
        bench.iter(|| rival.town_at(next.next().unwrap_or(points[0])));
    });
    group.finish();
    criterion.final_summary();
    Ok(())
}

/// Where customers stand: within two kilometres of a town's inner point, towns by their population.
fn customers(index: &Value) -> anyhow::Result<Vec<LatLon>> {
    let mut rng = StdRng::seed_from_u64(SEED);
    let towns: Vec<_> =
        index.as_array().into_iter().flatten().filter(|town| town["lon"].is_number()).collect();
    let population = |town: &&Value| town["population"].as_f64().unwrap_or(0.0) + 1.0;
    let drawn = WeightedIndex::new(towns.iter().map(population))?;
    let mut points = Vec::with_capacity(POINTS);
    while points.len() < POINTS {
        let town = towns[drawn.sample(&mut rng)];
        let mut near = |degrees: &Value| degrees.as_f64().unwrap_or(0.0) + rng.random_range(-0.02..0.02);
        points.extend(LatLon::new(near(&town["lat"]), near(&town["lon"])));
    }
    Ok(points)
}

fn found(territory: &Territory, at: LatLon) -> usize {
    let Some(town) = territory.town_at(black_box(at)) else { return 0 };
    territory.towns_allowed_at(town.insee, at).len()
}

/// The quantiles of single calls, each timed alone: about 30 ns of each is the clock's.
fn one_by_one(points: &[LatLon], name: &str, ask: impl Fn(LatLon) -> usize) {
    let Ok(mut nanos) = Histogram::<u64>::new_with_max(1_000_000_000, 3) else { return };
    let mut sum = 0;
    for at in points {
        let began = Instant::now();
        sum += ask(*at);
        nanos.saturating_record(u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX));
    }
    let at = |quantile| nanos.value_at_quantile(quantile);
    println!(
        "{name}: p50 {} ns, p90 {} ns, p99 {} ns, longest {} ns ({sum})",
        at(0.5),
        at(0.9),
        at(0.99),
        nanos.max()
    );
}

struct Rival<'a> {
    boxes: RTree<GeomWithData<Rectangle<[f64; 2]>, &'a MultiPolygon<f64>>>,
}

impl<'a> Rival<'a> {
    fn new(territory: &'a Territory) -> Self {
        let of = |shape: &'a MultiPolygon<f64>| {
            let rect = shape.bounding_rect()?;
            Some(GeomWithData::new(Rectangle::from_corners(rect.min().into(), rect.max().into()), shape))
        };
        Self {
            boxes: RTree::bulk_load(territory.towns().iter().filter_map(|town| of(&town.shape)).collect()),
        }
    }

    fn town_at(&self, at: LatLon) -> bool {
        let point = [at.lon(), at.lat()];
        let mut near = self.boxes.locate_in_envelope_intersecting(&AABB::from_point(point));
        near.any(|town| town.data.contains(&Point::from(point)))
    }
}
