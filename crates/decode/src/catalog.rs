//! Lists makes, models and model years, for vehicles without a VIN.
//!
//! vPIC has no such list, so it is derived from the decoding patterns: a pattern names a model, a schema contains
//! patterns, and a manufacturer uses a schema for a range of model years. The result is cached in a file next to the
//! snapshot and rebuilt for another snapshot.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::{Path, PathBuf},
};

use garage_files::Existing;
use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};

use crate::{Snapshot, pinned};

/// vPIC's number of the variable that names the model.
const MODEL_ELEMENT: i32 = 28;
/// The last year of a range without an end in vPIC.
const NO_END: i32 = i32::MAX;
/// Increase it when the file's form changes; a file of another version is rebuilt.
const FILE_VERSION: u32 = 2;
/// Characters of a name, as of a vehicle's make and model (`docs/contract.md`).
const LONGEST_NAME: usize = 100;
/// Model years are announced up to this many years ahead.
const YEARS_AHEAD: i32 = 1;

/// A make or a model, by vPIC's number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CatalogEntry {
    /// vPIC's number; makes and models are numbered apart.
    pub id: i32,
    /// The name as vPIC writes it.
    pub name: String,
}

/// Which models every make had in which years, as far as vPIC describes them: vehicles sold in the United States, from
/// model year 1981 on, almost without gaps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalog {
    version: u32,
    /// The digest of the snapshot it was made from.
    snapshot: String,
    /// By name.
    makes: Vec<Make>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Make {
    #[serde(flatten)]
    entry: CatalogEntry,
    /// By name.
    models: Vec<Model>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Model {
    #[serde(flatten)]
    entry: CatalogEntry,
    /// First and last model year of each range, in order, not overlapping.
    years: Vec<(i32, i32)>,
}

impl Catalog {
    /// Reads the file next to the snapshot. If it is missing, damaged or of another snapshot, builds the catalog and tries
    /// to write the file.
    #[must_use]
    pub fn open_or_build(snapshot: &Snapshot, snapshot_file: &Path) -> Catalog {
        let file = catalog_file(snapshot_file);
        let kept = std::fs::read(&file).ok().and_then(|bytes| serde_json::from_slice::<Catalog>(&bytes).ok());
        if let Some(kept) = kept.filter(|kept| kept.version == FILE_VERSION && kept.snapshot == pinned::BLAKE3) {
            return kept;
        }
        let catalog = Catalog::build(snapshot);
        // Write to another file and rename it, so that other processes never read a partial file.
        let _ = catalog.write(&file);
        catalog
    }

    /// Builds the catalog from the snapshot. Takes some tenths of a second.
    #[must_use]
    pub fn build(snapshot: &Snapshot) -> Catalog {
        let db = &snapshot.db;
        let bands = bands_by_schema(db);
        let mut years: HashMap<i32, BTreeSet<(i32, i32)>> = HashMap::new();
        for pattern in db.patterns().iter().filter(|pattern| pattern.elementid.to_native() == MODEL_ELEMENT) {
            let Some(bands) = bands.get(&pattern.vinschemaid.to_native()) else { continue };
            if let Ok(model) = db.s(pattern.attributeid.to_native()).parse() {
                years.entry(model).or_default().extend(bands);
            }
        }
        let name = |table: &str, id: i32| {
            let name = db.lookup(ultravin::tables::tag_of_table(table)?, id)?.trim();
            // A few names list several models and are longer than a vehicle's field.
            (!name.is_empty()).then(|| name.chars().take(LONGEST_NAME).collect::<String>().trim_end().to_owned())
        };
        let mut models_by_make: BTreeMap<i32, Vec<Model>> = BTreeMap::new();
        for (id, bands) in years {
            let Some(model_name) = name("model", id) else { continue };
            let model = Model { entry: CatalogEntry { id, name: model_name }, years: joined(&bands) };
            for link in db.makes_for_model(id) {
                models_by_make.entry(link.makeid.to_native()).or_default().push(model.clone());
            }
        }
        let by_name = |entry: &CatalogEntry| (entry.name.to_lowercase(), entry.id);
        let mut makes: Vec<Make> = models_by_make
            .into_iter()
            .filter_map(|(id, mut models)| {
                models.sort_by_key(|model| by_name(&model.entry));
                // Decoded makes are upper case; the catalog uses the same spelling.
                Some(Make { entry: CatalogEntry { id, name: name("make", id)?.to_uppercase() }, models })
            })
            .collect();
        makes.sort_by_key(|make| by_name(&make.entry));
        Catalog { version: FILE_VERSION, snapshot: pinned::BLAKE3.to_owned(), makes }
    }

    /// All model years, latest first. Ranges without an end include next year.
    #[must_use]
    pub fn years(&self, now: Timestamp) -> Vec<i32> {
        let latest = i32::from(now.to_zoned(TimeZone::UTC).year()) + YEARS_AHEAD;
        let bands = self.makes.iter().flat_map(|make| &make.models).flat_map(|model| &model.years);
        let years: BTreeSet<i32> = bands.flat_map(|(first, last)| *first..=*last.min(&latest)).collect();
        years.into_iter().rev().collect()
    }

    /// The makes that had a model in this year, or all, by name.
    #[must_use]
    pub fn makes(&self, year: Option<i32>) -> Vec<CatalogEntry> {
        let had_one = |make: &&Make| make.models.iter().any(|model| model.was_made_in(year));
        self.makes.iter().filter(had_one).map(|make| make.entry.clone()).collect()
    }

    /// The models that a make had in this year, or ever, by name; none where there is no such make.
    #[must_use]
    pub fn models(&self, make_id: i32, year: Option<i32>) -> Vec<CatalogEntry> {
        let make = self.makes.iter().find(|make| make.entry.id == make_id);
        let models = make.into_iter().flat_map(|make| &make.models);
        models.filter(|model| model.was_made_in(year)).map(|model| model.entry.clone()).collect()
    }

    fn write(&self, file: &Path) -> Result<(), garage_files::Error> {
        let json = serde_json::to_vec(self).map_err(|error| garage_files::Error::at(file)(error.into()))?;
        garage_files::write(file, &json, Existing::Replace)
    }
}

impl Model {
    fn was_made_in(&self, year: Option<i32>) -> bool {
        year.is_none_or(|year| self.years.iter().any(|(first, last)| (*first..=*last).contains(&year)))
    }
}

/// The catalog's file of a snapshot.
fn catalog_file(snapshot_file: &Path) -> PathBuf {
    snapshot_file.with_extension("catalog.json")
}

/// The ranges of model years for which manufacturers use a schema.
fn bands_by_schema(db: &ultravin::Db) -> HashMap<i32, BTreeSet<(i32, i32)>> {
    let mut bands: HashMap<i32, BTreeSet<(i32, i32)>> = HashMap::new();
    for link in db.wmis().iter().flat_map(|wmi| db.wmi_vinschema_for(wmi.id.to_native())) {
        let schema = link.vinschemaid.to_native();
        // Schemas that NHTSA has not checked yet do not decode either.
        if db.vinschema_by_id(schema).is_some_and(|schema| !schema.tobeqced) {
            let last = match link.yearto.to_native() {
                ultravin::tables::NULL_I32 => NO_END,
                year => year,
            };
            bands.entry(schema).or_default().insert((link.yearfrom.to_native(), last));
        }
    }
    bands
}

/// Joins ranges that touch or overlap.
fn joined(bands: &BTreeSet<(i32, i32)>) -> Vec<(i32, i32)> {
    let mut joined: Vec<(i32, i32)> = Vec::new();
    for (first, last) in bands {
        match joined.last_mut() {
            Some((_, end)) if *first <= end.saturating_add(1) => *end = (*end).max(*last),
            _ => joined.push((*first, *last)),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joins_ranges_that_touch() {
        let bands = BTreeSet::from([(1990, 1995), (1996, 1997), (1992, 1993), (2001, NO_END), (2005, 2006)]);
        assert_eq!(joined(&bands), [(1990, 1997), (2001, NO_END)]);
    }
}
