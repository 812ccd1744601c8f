//! The simulated disk does what it says: an instrument is tested before it measures.

use std::collections::BTreeSet;
use std::io::ErrorKind;

use super::*;

const NEW: OpenHow = OpenHow {
    create: Create::CreateNew,
    access: Access::Buffered,
};
const EXISTING: OpenHow = OpenHow {
    create: Create::Existing,
    access: Access::Buffered,
};
const DROP: Cut = Cut {
    files: Fate::AllDropped,
    names: NameFate::AllDropped,
};

#[test]
fn only_what_was_synced_is_sure_to_outlive_a_cut() {
    let disk = SimDisk::new(1);
    let file = disk.open("a", NEW).unwrap();
    file.write_all_at(&[1; 1024], 0).unwrap();
    file.sync_data().unwrap();
    file.write_all_at(&[2; 2048], 512).unwrap();
    assert!(disk.next_boot_with(DROP).list().unwrap().is_empty());
    let disk = SimDisk::new(1);
    let file = disk.open("a", NEW).unwrap();
    file.write_all_at(&[1; 1024], 0).unwrap();
    file.sync_data().unwrap();
    disk.sync_folder().unwrap();
    file.write_all_at(&[2; 2048], 512).unwrap();
    let died = disk.next_process();
    assert_eq!(died.content("a").unwrap().len(), 2560);
    assert_eq!(died.boot_id().unwrap(), disk.boot_id().unwrap());
    assert_eq!(file.sync_data().unwrap_err().raw_os_error(), Some(5));
    let cut = died.next_boot_with(DROP);
    assert_eq!(cut.content("a").unwrap(), [1; 1024]);
    assert_ne!(cut.boot_id().unwrap(), disk.boot_id().unwrap());
}

#[test]
fn a_cut_drops_keeps_and_tears_sectors_each_for_itself() {
    let mut seen = BTreeSet::new();
    let (mut torn, mut lengths) = (false, BTreeSet::new());
    for seed in 0..400 {
        let disk = SimDisk::new(seed);
        let file = disk.open("a", NEW).unwrap();
        file.write_all_at(&[1; 1536], 0).unwrap();
        file.sync_data().unwrap();
        disk.sync_folder().unwrap();
        file.write_all_at(&[2; 512], 0).unwrap();
        file.write_all_at(&[3; 2048], 0).unwrap();
        let content = disk.next_boot().content("a").unwrap();
        lengths.insert(content.len());
        let sectors = content.chunks(512).take(3);
        for sector in sectors.clone() {
            torn |= sector.iter().any(|byte| *byte != sector[0]);
        }
        seen.insert(sectors.map(|sector| sector[0]).collect::<Vec<_>>());
    }
    assert!(torn);
    assert_eq!(lengths, BTreeSet::from([1536, 2048]));
    for wanted in [[1, 1, 1], [2, 1, 1], [3, 3, 3], [1, 3, 1], [2, 1, 3]] {
        assert!(seen.contains(wanted.as_slice()), "{wanted:?}");
    }
}

#[test]
fn names_are_kept_and_dropped_in_any_order() {
    let mut seen = BTreeSet::new();
    for seed in 0..300 {
        let disk = SimDisk::new(seed);
        disk.open("a", NEW).unwrap();
        disk.sync_folder().unwrap();
        disk.rename("a", "b").unwrap();
        disk.open("c", NEW).unwrap();
        disk.remove("c").unwrap();
        disk.open("d", NEW).unwrap();
        seen.insert(disk.next_boot().list().unwrap().concat());
    }
    for wanted in ["a", "b", "ac", "bc", "bcd", "bd", "ad", "acd"] {
        assert!(seen.contains(wanted), "{wanted}: {seen:?}");
    }
}

#[test]
fn a_failed_sync_loses_data_that_later_syncs_do_not_bring_back() {
    let (mut lost_unseen, mut arrived) = (0, 0);
    for seed in 0..100 {
        let disk = SimDisk::new(seed);
        let file = disk.open("a", NEW).unwrap();
        file.write_all_at(&[1; 512], 0).unwrap();
        file.sync_data().unwrap();
        disk.sync_folder().unwrap();
        file.write_all_at(&[2; 512], 0).unwrap();
        disk.fail_changes(disk.changes() + 1..disk.changes() + 2);
        assert!(file.sync_data().is_err());
        file.sync_data().unwrap();
        let seen = disk.content("a").unwrap()[0];
        let durable = disk.next_boot().content("a").unwrap()[0];
        lost_unseen += u32::from(seen == 2 && durable == 1);
        arrived += u32::from(durable == 2);
    }
    assert!(lost_unseen > 10 && arrived > 10, "{lost_unseen} {arrived}");
}

#[test]
fn every_change_can_be_the_last_and_can_fail() {
    let work = |disk: &SimDisk| -> io::Result<()> {
        let file = disk.open("a", NEW)?;
        file.allocate(8192)?;
        file.write_all_at(&[1; 512], 0)?;
        file.set_len(4096)?;
        file.sync_all()?;
        disk.rename("a", "b")?;
        disk.sync_folder()?;
        disk.remove("b")
    };
    let disk = SimDisk::new(1);
    work(&disk).unwrap();
    assert_eq!(disk.changes(), 8);
    for number in 1..=8 {
        let disk = SimDisk::new(number);
        disk.cut_at(number);
        assert_eq!(work(&disk).unwrap_err().raw_os_error(), Some(5));
        assert!(disk.is_off() && disk.list().is_err());
        let disk = SimDisk::new(number);
        disk.fail_changes(number..number + 1);
        assert_eq!(work(&disk).unwrap_err().raw_os_error(), Some(5));
        assert!(!disk.is_off() && disk.trace().contains("FAILED"));
    }
}

#[test]
fn a_full_disk_and_refused_direct_access_are_told() {
    let disk = SimDisk::new(1);
    disk.set_capacity(16_384);
    let file = disk.open("a", NEW).unwrap();
    file.allocate(8192).unwrap();
    file.write_all_at(&[1; 8192], 0).unwrap();
    assert_eq!(
        file.allocate(20_000).unwrap_err().kind(),
        ErrorKind::StorageFull
    );
    file.set_len(1 << 20).unwrap();
    file.write_all_at(&[1; 8192], 40_960).unwrap();
    assert_eq!(disk.space().unwrap().available, 0);
    let full = file.write_all_at(&[1; 1], 65_536).unwrap_err();
    assert_eq!(full.kind(), ErrorKind::StorageFull);
    disk.remove("a").unwrap();
    assert_eq!(disk.used(), 16_384, "still open");
    drop(file);
    assert_eq!(disk.used(), 0);
    let direct = OpenHow {
        access: Access::Direct,
        ..NEW
    };
    disk.set_direct_access(DirectAccess::RefusedAtOpen);
    assert_eq!(
        disk.open("b", direct).unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
    disk.set_direct_access(DirectAccess::RefusedAtWrite);
    let file = disk.open("b", direct).unwrap();
    let mut memory = vec![0; 8192];
    let at = memory.as_ptr().align_offset(4096);
    let refused = file.write_all_at(&memory[at..at + 4096], 0).unwrap_err();
    assert_eq!(
        (refused.kind(), disk.misaligned()),
        (ErrorKind::InvalidInput, None)
    );
    disk.set_direct_access(DirectAccess::Accepted);
    file.write_all_at(&memory[at..at + 4096], 4096).unwrap();
    file.read_exact_at(&mut memory[at..at + 4096], 0).unwrap();
    assert!(file.write_all_at(&memory[at..at + 512], 0).is_err());
    assert!(disk.misaligned().is_some());
}

#[test]
fn it_knows_what_was_synced_when_nothing_is_left_to_sync() {
    let disk = SimDisk::new(1);
    let file = disk.open("a", NEW).unwrap();
    let acknowledged = disk.acknowledged();
    let step = |count, synced| {
        acknowledged.store(count, std::sync::atomic::Ordering::SeqCst);
        file.write_all_at(&[1; 10], count * 512).unwrap();
        assert_eq!(disk.synced(), synced);
    };
    step(1, 0);
    disk.sync_folder().unwrap();
    step(2, 0);
    file.sync_data().unwrap();
    step(3, 2);
    assert!(disk.open("a", EXISTING).is_ok());
}

#[test]
fn reads_fail_and_media_decay_on_demand() {
    let disk = SimDisk::new(1);
    disk.set_sector(4096);
    let file = disk.open("a", NEW).unwrap();
    file.write_all_at(&[1; 100], 0).unwrap();
    file.sync_data().unwrap();
    disk.sync_folder().unwrap();
    disk.damage("a", |bytes| bytes[7] ^= 0x10);
    let mut buffer = [0; 8];
    file.read_exact_at(&mut buffer, 0).unwrap();
    assert_eq!(buffer, [1, 1, 1, 1, 1, 1, 1, 0x11]);
    disk.fail_reads(disk.reads() + 1..disk.reads() + 2);
    assert_eq!(
        file.read_exact_at(&mut buffer, 0)
            .unwrap_err()
            .raw_os_error(),
        Some(5)
    );
    file.read_exact_at(&mut buffer, 0).unwrap();
    disk.stop();
    assert!(file.read_exact_at(&mut buffer, 0).is_err());
    assert_eq!(disk.next_boot().content("a").unwrap()[7], 0x11);
}
