//! Families of metrics, made for one scrape.

use ingest::histogram::Snapshot;
use prometheus::TextEncoder;
use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType};

/// Label names and their values.
pub(super) type Labels<'a> = [(&'a str, &'a str)];

/// What a scrape answers with.
#[derive(Default)]
pub(super) struct Families(Vec<MetricFamily>);

impl Families {
    /// A number that only grows, without labels.
    pub(super) fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.counters(name, help, [(&[] as &Labels<'_>, value)]);
    }

    /// Numbers that only grow. Without any, the family is left out.
    pub(super) fn counters<'a, L: AsRef<Labels<'a>>>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (L, u64)>,
    ) {
        let metric = |(labels, value): (L, u64)| {
            let (mut metric, mut counter) = (labelled(labels.as_ref()), Counter::default());
            counter.set_value(float(value));
            metric.set_counter(counter);
            metric
        };
        self.add(name, help, MetricType::COUNTER, samples.into_iter().map(metric).collect());
    }

    /// A number that goes up and down, without labels.
    pub(super) fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.gauges(name, help, [(&[] as &Labels<'_>, value)]);
    }

    /// Numbers that go up and down. Without any, the family is left out.
    pub(super) fn gauges<'a, L: AsRef<Labels<'a>>>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (L, f64)>,
    ) {
        let metric = |(labels, value): (L, f64)| {
            let (mut metric, mut gauge) = (labelled(labels.as_ref()), Gauge::default());
            gauge.set_value(value);
            metric.set_gauge(gauge);
            metric
        };
        self.add(name, help, MetricType::GAUGE, samples.into_iter().map(metric).collect());
    }

    /// Durations, in seconds. Without any, the family is left out.
    pub(super) fn histograms<'a, L: AsRef<Labels<'a>>>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (L, Snapshot)>,
    ) {
        let metric = |(labels, snapshot): (L, Snapshot)| {
            let mut metric = labelled(labels.as_ref());
            metric.set_histogram(histogram(&snapshot));
            metric
        };
        self.add(name, help, MetricType::HISTOGRAM, samples.into_iter().map(metric).collect());
    }

    /// All of them as text.
    pub(super) fn text(&self) -> prometheus::Result<String> {
        TextEncoder::new().encode_to_string(&self.0)
    }

    fn add(&mut self, name: &str, help: &str, kind: MetricType, metrics: Vec<Metric>) {
        if metrics.is_empty() {
            return;
        }
        let mut family = MetricFamily::default();
        family.set_name(name.to_owned());
        family.set_help(help.to_owned());
        family.set_field_type(kind);
        family.set_metric(metrics);
        self.0.push(family);
    }
}

fn labelled(labels: &Labels<'_>) -> Metric {
    let pair = |(name, value): &(&str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    };
    Metric::from_label(labels.iter().map(pair).collect())
}

fn histogram(snapshot: &Snapshot) -> Histogram {
    let bucket = |(bound_us, count): &(u64, u64)| {
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(seconds(*bound_us));
        bucket.set_cumulative_count(*count);
        bucket
    };
    let mut histogram = Histogram::default();
    histogram.set_bucket(snapshot.within.iter().map(bucket).collect());
    histogram.set_sample_count(snapshot.count);
    histogram.set_sample_sum(seconds(snapshot.sum_us));
    histogram
}

fn seconds(us: u64) -> f64 {
    float(us) / 1e6
}

#[expect(clippy::cast_precision_loss, reason = "counts are exact up to 2^53")]
pub(super) fn float(number: u64) -> f64 {
    number as f64
}
