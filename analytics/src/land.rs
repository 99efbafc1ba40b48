//! Which H3 cells are a town's, remembered: they are looked for in its shape, and the country's take seconds.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use datafusion::arrow::array::{ArrayRef, RecordBatch, StringViewArray, UInt64Array};
use datafusion::arrow::error::ArrowError;
use engine::territory::{Insee, Territory};
use tokio::task::yield_now;

use crate::cells;

/// The cells of those towns that were asked for, as long as the territory is the same. Of the country's, about 7 MB.
#[derive(Debug, Default)]
pub(crate) struct Land(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    territory: Weak<Territory>,
    cells: HashMap<Insee, Arc<[u64]>>,
}

impl Land {
    /// The cells of towns, with the town: those whose middle lies in it, or of a town that holds no middle the one in
    /// which it lies. O(land) for towns that were not asked for before, about six seconds for the country's; of the
    /// others O(cells).
    pub(crate) async fn table(
        &self,
        territory: Option<&Arc<Territory>>,
        of: &BTreeSet<Insee>,
    ) -> Result<RecordBatch, ArrowError> {
        let mut rows: Vec<(Arc<[u64]>, Insee)> = Vec::new();
        if let Some(territory) = territory {
            for town in territory.towns().iter().filter(|town| of.contains(&town.insee)) {
                if let Some(cells) = self.known(territory, town.insee) {
                    rows.push((cells, town.insee));
                    continue;
                }
                // Whoever waits may have gone.
                yield_now().await;
                let cells: Arc<[u64]> = cells::of(territory, town).into_iter().collect();
                self.keep(territory, town.insee, cells.clone());
                rows.push((cells, town.insee));
            }
        }
        let each = || rows.iter().flat_map(|(cells, town)| cells.iter().map(move |cell| (*cell, town)));
        let towns = StringViewArray::from_iter_values(each().map(|(_, town)| town.as_str()));
        RecordBatch::try_from_iter([
            ("cell", Arc::new(UInt64Array::from_iter_values(each().map(|(cell, _)| cell))) as ArrayRef),
            ("insee", Arc::new(towns)),
        ])
    }

    fn known(&self, territory: &Arc<Territory>, town: Insee) -> Option<Arc<[u64]>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_same = known.territory.as_ptr() == Arc::as_ptr(territory);
        if is_same { known.cells.get(&town).cloned() } else { None }
    }

    fn keep(&self, territory: &Arc<Territory>, town: Insee, cells: Arc<[u64]>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Its place is nobody else's while it is remembered.
        if known.territory.as_ptr() != Arc::as_ptr(territory) {
            *known = Known { territory: Arc::downgrade(territory), cells: HashMap::new() };
        }
        known.cells.insert(town, cells);
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::AsArray as _;
    use datafusion::arrow::datatypes::UInt64Type;
    use engine::territory::Town;
    use geo::{LineString, MultiPolygon, Polygon};

    use super::*;

    fn territory(west: f64) -> Arc<Territory> {
        let corners = vec![(west, 45.7), (west + 0.1, 45.7), (west + 0.1, 45.8), (west, 45.8), (west, 45.7)];
        let shape = MultiPolygon(vec![Polygon::new(LineString::from(corners), vec![])]);
        let town = Town { insee: "00001".parse().unwrap(), name: "One".to_owned(), shape };
        Arc::new(Territory::new(vec![town], Vec::new(), Vec::new()))
    }

    async fn cells(land: &Land, territory: &Arc<Territory>) -> Vec<u64> {
        let towns = BTreeSet::from(["00001".parse().unwrap()]);
        let table = land.table(Some(territory), &towns).await.unwrap();
        assert_eq!(table.column(1).as_string_view().iter().flatten().next(), Some("00001"));
        table.column(0).as_primitive::<UInt64Type>().values().to_vec()
    }

    #[tokio::test]
    async fn what_is_remembered_is_that_of_the_territory_as_it_is() {
        let land = Land::default();
        let here = territory(4.7);
        let found: Vec<u64> = cells::of(&here, &here.towns()[0]).into_iter().collect();
        assert_eq!(cells(&land, &here).await, found);
        assert!(land.known(&here, "00001".parse().unwrap()).is_some());
        assert_eq!(cells(&land, &here).await, found);

        let moved = territory(5.7);
        assert!(land.known(&moved, "00001".parse().unwrap()).is_none());
        assert_ne!(cells(&land, &moved).await, found);
        assert_eq!(cells(&land, &here).await, found);
    }

    #[tokio::test]
    async fn nothing_is_asked_of_no_territory() {
        assert_eq!(Land::default().table(None, &BTreeSet::new()).await.unwrap().num_rows(), 0);
    }
}
