//! Makes, models and model years, for describing a vehicle without a VIN.
//!
//! vPIC has no such list. It follows from the patterns that decode: a pattern names a model, a schema holds patterns, a
//! manufacturer uses a schema for a band of model years. Going through all of them takes a while, so the result is kept
//! in a file beside the snapshot and made anew only for another snapshot.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    io::Write,
    path::{Path, PathBuf},
};

use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};

use crate::{Snapshot, pinned};

/// vPIC's number of the variable that names the model.
const MODEL_ELEMENT: i32 = 28;
/// A band without an end in vPIC.
const NO_END: i32 = i32::MAX;
/// Raised when the file's form changes; a file of another form is made anew.
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
    /// First and last model year of each band, in order and apart.
    years: Vec<(i32, i32)>,
}

impl Catalog {
    /// Reads the file beside the snapshot, or makes the catalog and the file where there is none for this snapshot.
    /// A file that cannot be written costs the time of making it again, nothing else.
    #[must_use]
    pub fn open_or_build(snapshot: &Snapshot, snapshot_file: &Path) -> Catalog {
        let file = catalog_file(snapshot_file);
        let kept = std::fs::read(&file).ok().and_then(|bytes| serde_json::from_slice::<Catalog>(&bytes).ok());
        if let Some(kept) = kept.filter(|kept| kept.version == FILE_VERSION && kept.snapshot == pinned::BLAKE3) {
            return kept;
        }
        let catalog = Catalog::build(snapshot);
        // Written beside and renamed: another process that reads meanwhile finds a whole file or none.
        let _ = catalog.write(&file);
        catalog
    }

    /// Derives the catalog from the snapshot. Takes some tenths of a second.
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
            // A few models are lists of models, longer than a vehicle's field.
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
                // A decode writes makes in capitals; the same vehicle must not have two spellings.
                Some(Make { entry: CatalogEntry { id, name: name("make", id)?.to_uppercase() }, models })
            })
            .collect();
        makes.sort_by_key(|make| by_name(&make.entry));
        Catalog { version: FILE_VERSION, snapshot: pinned::BLAKE3.to_owned(), makes }
    }

    /// All model years of any model, the latest first, as of now: bands without an end go on into the next year.
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

    fn write(&self, file: &Path) -> std::io::Result<()> {
        let folder = file.parent().ok_or(std::io::ErrorKind::InvalidInput)?;
        let mut scratch = tempfile::NamedTempFile::new_in(folder)?;
        scratch.write_all(&serde_json::to_vec(self)?)?;
        scratch.persist(file)?;
        Ok(())
    }
}

impl Model {
    fn was_made_in(&self, year: Option<i32>) -> bool {
        year.is_none_or(|year| self.years.iter().any(|(first, last)| (*first..=*last).contains(&year)))
    }
}

/// Where the catalog of a snapshot is kept.
fn catalog_file(snapshot_file: &Path) -> PathBuf {
    snapshot_file.with_extension("catalog.json")
}

/// The bands of model years for which any manufacturer uses a schema.
fn bands_by_schema(db: &ultravin::Db) -> HashMap<i32, BTreeSet<(i32, i32)>> {
    let mut bands: HashMap<i32, BTreeSet<(i32, i32)>> = HashMap::new();
    for link in db.wmis().iter().flat_map(|wmi| db.wmi_vinschema_for(wmi.id.to_native())) {
        let schema = link.vinschemaid.to_native();
        // What is still to be checked by NHTSA does not decode either.
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

/// Bands that touch or overlap, as one.
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
    fn bands_that_touch_are_one() {
        let bands = BTreeSet::from([(1990, 1995), (1996, 1997), (1992, 1993), (2001, NO_END), (2005, 2006)]);
        assert_eq!(joined(&bands), [(1990, 1997), (2001, NO_END)]);
    }
}
