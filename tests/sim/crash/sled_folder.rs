//! sled's folder is a real one, and between two lives of the store all sorts of things happen to it.

use std::fs;
use std::path::{Path, PathBuf};

use ottla::base::Rng;
use tempfile::TempDir;

/// What happens to sled's folder between two lives of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SledFate {
    Kept,
    Deleted,
    /// An older copy is put back.
    Older,
    /// Bits flip, files are cut off.
    Damaged,
}

impl SledFate {
    pub(crate) const ALL: [Self; 4] = [Self::Kept, Self::Deleted, Self::Older, Self::Damaged];
}

/// The folder and the copies that were taken of it.
#[derive(Debug)]
pub(crate) struct SledFolder {
    root: TempDir,
    copies: u32,
}

impl SledFolder {
    pub(crate) fn new() -> Self {
        // sled syncs for real: in memory, where there is such a folder, that costs nothing.
        let memory = Path::new("/dev/shm");
        let root = match tempfile::Builder::new()
            .prefix("ottla-sim-")
            .tempdir_in(memory)
        {
            Ok(root) => root,
            Err(_) => tempfile::tempdir().expect("a temporary folder"),
        };
        Self { root, copies: 0 }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.root.path().join("sled")
    }

    fn copy_path(&self, number: u32) -> PathBuf {
        self.root.path().join(format!("copy{number}"))
    }

    /// Remembers the folder as it is now.
    pub(crate) fn keep_copy(&mut self) {
        if self.path().exists() {
            copy(&self.path(), &self.copy_path(self.copies));
            self.copies += 1;
        }
    }

    pub(crate) fn suffer(&mut self, fate: SledFate, rng: &mut Rng) {
        match fate {
            SledFate::Kept => {}
            SledFate::Deleted => clear(&self.path()),
            SledFate::Older if self.copies > 0 => {
                let copies = u64::from(self.copies);
                let number = u32::try_from(rng.below(copies)).expect("few copies");
                clear(&self.path());
                copy(&self.copy_path(number), &self.path());
            }
            SledFate::Older => {}
            SledFate::Damaged => damage(&self.path(), rng),
        }
    }
}

fn clear(folder: &Path) {
    if folder.exists() {
        fs::remove_dir_all(folder).expect("the folder can be removed");
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder can be made");
    for entry in fs::read_dir(from).expect("the folder can be read") {
        let entry = entry.expect("the folder can be read");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a file can be copied");
        }
    }
}

/// Damages some of the files: flips, cuts off, fills with zeros, removes.
fn damage(folder: &Path, rng: &mut Rng) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            damage(&path, rng);
            continue;
        }
        let mut bytes = fs::read(&path).expect("a file can be read");
        if bytes.is_empty() {
            continue;
        }
        let len = bytes.len() as u64;
        let index = |position: u64| usize::try_from(position).expect("small files");
        match rng.below(5) {
            0 => {
                for _ in 0..=rng.below(20) {
                    bytes[index(rng.below(len))] ^= 1 << rng.below(8);
                }
            }
            1 => bytes.truncate(index(rng.below(len))),
            2 => {
                let from = index(rng.below(len));
                bytes[from..].fill(0);
            }
            3 => {
                fs::remove_file(&path).expect("a file can be removed");
                continue;
            }
            _ => continue,
        }
        fs::write(&path, bytes).expect("a file can be written");
    }
}
