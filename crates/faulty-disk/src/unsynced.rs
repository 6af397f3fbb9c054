//! What a file has been since its last sync, and what a power loss may leave of it.

use std::collections::BTreeMap;

use fastrand::Rng;

/// Reads from the file, before a change. The buffer beyond the end of the file keeps its zeros.
pub(crate) type Read<'a, E> = &'a dyn Fn(&mut [u8], u64) -> Result<(), E>;

/// The changes of a file since its last sync.
pub(crate) struct Unsynced {
    sector_size: usize,
    /// The sizes that the file has had. The first one was synced, the last one is the current one.
    sizes: Vec<u64>,
    /// The contents that each changed sector has had. The first one was synced, the last one is the current one.
    sectors: BTreeMap<u64, Vec<Version>>,
}

struct Version {
    /// A whole sector, with zeros beyond the end of the file.
    bytes: Box<[u8]>,
    /// The index in `sizes` of the truncation that made this version.
    truncation: Option<usize>,
}

impl Unsynced {
    /// A file of `size` bytes that is synced.
    pub(crate) fn new(sector_size: usize, size: u64) -> Unsynced {
        Unsynced { sector_size, sizes: vec![size], sectors: BTreeMap::new() }
    }

    /// Records a write. Call it before the write is performed.
    pub(crate) fn write<E>(&mut self, data: &[u8], offset: u64, read: Read<'_, E>) -> Result<(), E> {
        let end = offset + data.len() as u64;
        self.change(offset..end, None, read, |sector, start| {
            let (from, to) = (offset.max(start), end.min(start + sector.len() as u64));
            sector[(from - start) as usize..(to - start) as usize]
                .copy_from_slice(&data[(from - offset) as usize..(to - offset) as usize]);
        })?;
        if end > self.size() {
            self.sizes.push(end);
        }
        Ok(())
    }

    /// Records a change of the size. Call it before the change is performed.
    pub(crate) fn truncate<E>(&mut self, size: u64, read: Read<'_, E>) -> Result<(), E> {
        let before = self.size();
        if size < before {
            let truncation = self.sizes.len();
            self.change(size..before, Some(truncation), read, |sector, start| {
                let kept = size.saturating_sub(start) as usize;
                sector[kept..].fill(0);
            })?;
        }
        if size != before {
            self.sizes.push(size);
        }
        Ok(())
    }

    /// Records a sync.
    pub(crate) fn sync(&mut self) {
        *self = Unsynced::new(self.sector_size, self.size());
    }

    pub(crate) fn is_synced(&self) -> bool {
        self.sizes.len() == 1 && self.sectors.is_empty()
    }

    /// The content that a power loss leaves, from the current content: the file's size and each sector are what they
    /// are now or have been since the last sync, independently of each other.
    pub(crate) fn survivor(&self, mut content: Vec<u8>, rng: &mut Rng) -> Vec<u8> {
        if self.is_synced() {
            return content;
        }
        let luck = Luck::draw(rng);
        let size_index = luck.pick(self.sizes.len(), rng);
        let (synced_size, size) = (self.sizes[0], self.sizes[size_index] as usize);
        content.resize(size, 0);
        for (sector, versions) in &self.sectors {
            let start = *sector as usize * self.sector_size;
            let mut index = luck.pick(versions.len(), rng);
            // A truncation that did not survive has not cleared the sector either.
            while versions[index].truncation.is_some_and(|truncation| truncation > size_index) {
                index -= 1;
            }
            let mut bytes = versions[index].bytes.clone();
            // The file system may have allocated the sector without writing it: it has whatever was there before.
            if index == 0 && start as u64 >= synced_size && rng.bool() {
                rng.fill(&mut bytes);
            }
            let end = size.min(start + self.sector_size);
            if start < end {
                content[start..end].copy_from_slice(&bytes[..end - start]);
            }
        }
        content
    }

    fn size(&self) -> u64 {
        self.sizes[self.sizes.len() - 1]
    }

    /// Adds a version of each sector in the range. `change` makes it from the version before and the sector's offset.
    fn change<E>(
        &mut self,
        range: std::ops::Range<u64>,
        truncation: Option<usize>,
        read: Read<'_, E>,
        change: impl Fn(&mut [u8], u64),
    ) -> Result<(), E> {
        let sector_size = self.sector_size as u64;
        let (first, end) = (range.start / sector_size, range.end.div_ceil(sector_size));
        let file_size = self.size();
        let mut before = vec![0; ((end - first) * sector_size) as usize];
        let is_known = |sector| self.sectors.contains_key(&sector) || sector * sector_size >= file_size;
        if !(first..end).all(is_known) {
            read(&mut before, first * sector_size)?;
        }
        for (sector, before) in (first..end).zip(before.chunks(self.sector_size)) {
            let synced = || vec![Version { bytes: before.into(), truncation: None }];
            let versions = self.sectors.entry(sector).or_insert_with(synced);
            let mut bytes = versions[versions.len() - 1].bytes.clone();
            change(&mut bytes, sector * sector_size);
            versions.push(Version { bytes, truncation });
        }
        Ok(())
    }
}

/// How much of what is not synced survives a power loss, from nothing to all of it.
pub(crate) struct Luck(u8);

impl Luck {
    const BEST: u8 = 4;

    pub(crate) fn draw(rng: &mut Rng) -> Luck {
        Luck(rng.u8(0..=Luck::BEST))
    }

    /// The index of one of `count` versions, of which the last one is the newest.
    pub(crate) fn pick(&self, count: usize, rng: &mut Rng) -> usize {
        let survives = count == 1 || rng.u8(0..Luck::BEST) < self.0;
        if survives { count - 1 } else { rng.usize(0..count - 1) }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, convert::Infallible};

    use super::*;

    const SECTOR: usize = 512;

    /// A file in memory.
    struct File {
        content: Vec<u8>,
        unsynced: Unsynced,
    }

    impl File {
        fn new(content: Vec<u8>) -> File {
            let unsynced = Unsynced::new(SECTOR, content.len() as u64);
            File { content, unsynced }
        }

        fn change(&mut self, change: impl Fn(&mut Unsynced, Read<'_, Infallible>) -> Result<(), Infallible>) {
            let content = &self.content;
            let read = |buffer: &mut [u8], offset: u64| {
                for (byte, stored) in buffer.iter_mut().zip(content.iter().skip(offset as usize)) {
                    *byte = *stored;
                }
                Ok(())
            };
            let Ok(()) = change(&mut self.unsynced, &read);
        }

        fn write(&mut self, data: &[u8], offset: usize) {
            self.change(|unsynced, read| unsynced.write(data, offset as u64, read));
            self.content.resize(self.content.len().max(offset + data.len()), 0);
            self.content[offset..offset + data.len()].copy_from_slice(data);
        }

        fn truncate(&mut self, size: usize) {
            self.change(|unsynced, read| unsynced.truncate(size as u64, read));
            self.content.resize(size, 0);
        }

        /// What the power losses of many seeds leave.
        fn survivors(&self) -> BTreeSet<Vec<u8>> {
            (0..500).map(|seed| self.unsynced.survivor(self.content.clone(), &mut Rng::with_seed(seed))).collect()
        }
    }

    #[test]
    fn each_unsynced_sector_survives_independently_and_its_neighbors_are_unchanged() {
        let mut file = File::new(vec![0; 4 * SECTOR]);
        file.write(&[1; SECTOR], SECTOR / 2);
        let sectors = |first: bool, second: bool| {
            let mut content = vec![0; 4 * SECTOR];
            content[SECTOR / 2..SECTOR].fill(first.into());
            content[SECTOR..SECTOR + SECTOR / 2].fill(second.into());
            content
        };
        let expected = [(false, false), (false, true), (true, false), (true, true)].map(|(a, b)| sectors(a, b));
        assert_eq!(file.survivors(), BTreeSet::from(expected));
    }

    #[test]
    fn a_synced_write_survives_and_a_later_one_may_be_lost() {
        let mut file = File::new(vec![0; SECTOR]);
        file.write(&[1; 10], 0);
        file.unsynced.sync();
        assert_eq!(file.survivors(), BTreeSet::from([file.content.clone()]));
        let synced = file.content.clone();
        file.write(&[2; 10], 5);
        assert_eq!(file.survivors(), BTreeSet::from([synced, file.content.clone()]));
    }

    #[test]
    fn a_sector_may_have_any_version_since_the_sync() {
        let mut file = File::new(vec![0; SECTOR]);
        for value in 1..=3 {
            file.write(&[value; SECTOR], 0);
        }
        let expected = [0, 1, 2, 3].map(|value| vec![value; SECTOR]);
        assert_eq!(file.survivors(), BTreeSet::from(expected));
    }

    #[test]
    fn growth_that_is_not_synced_may_be_lost_or_survive_without_its_content() {
        let mut file = File::new(vec![1; SECTOR]);
        file.write(&[2; SECTOR], SECTOR);
        let survivors = file.survivors();
        assert!(survivors.iter().all(|content| content[..SECTOR] == [1; SECTOR]));
        let ends: BTreeSet<&[u8]> = survivors.iter().map(|content| &content[SECTOR..]).collect();
        assert!(ends.contains([].as_slice()), "the growth is lost");
        assert!(ends.contains([2; SECTOR].as_slice()), "all survives");
        assert!(ends.contains([0; SECTOR].as_slice()), "the content is lost");
        assert!(ends.len() > 3, "the sector has what was there before");
    }

    #[test]
    fn a_lost_truncation_leaves_the_content_and_one_that_survives_removes_it() {
        let mut file = File::new(vec![1; 3 * SECTOR]);
        file.truncate(SECTOR + 10);
        assert_eq!(file.survivors(), BTreeSet::from([vec![1; 3 * SECTOR], vec![1; SECTOR + 10]]));
        file.unsynced.sync();
        assert_eq!(file.survivors(), BTreeSet::from([vec![1; SECTOR + 10]]));
    }
}
