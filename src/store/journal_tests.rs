//! The journal as the next process reads it: truncated, on several pages, with corrected clocks.
//!
//! Owns the proof that a crash or a correction of the clock never gives a robot a second quota.
//!
//! Not here: the restoration of the pacer in detail (`pace/`).

use std::{
    collections::BTreeMap,
    fs, io,
    path::Path,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt;
use tokio_util::sync::CancellationToken;

use super::{
    Journal, JournalSettings,
    error::LedgerError,
    segment::{self, FileSync},
};
use crate::{
    clock::Clock,
    domain::{
        AttemptOutcome, Event, EventContent, EventId, OverflowPolicy, Platform, PlatformMap,
        PublishedMessage, RobotId, SubscriptionId, Timestamp, Verdict,
    },
    pace::{
        AdmissionRequest, AppendFailed, BreakerPolicy, HealthPolicy, Pace, PaceDecision,
        PaceLimits, PaceLog, PaceRecord, PaceSettings, PlatformQuota, QueuePosition, RestoredLog,
        WindowQuota,
    },
    settings::Section as _,
};

const T0: Timestamp = Timestamp::from_unix_millis(1_700_000_000_000);

fn settings(dir: &Path) -> JournalSettings {
    JournalSettings { dir: dir.join("journal"), window: Duration::from_secs(100) }
}

fn open(dir: &Path, clock: &Clock) -> (Journal, RestoredLog) {
    Journal::open(settings(dir), clock.clone()).unwrap()
}

fn append(journal: &Journal, record: &PaceRecord) -> Result<(), AppendFailed> {
    journal.append(record).now_or_never().unwrap()
}

/// Begins a page if one is due, and completes it after this checkpoint.
fn rotate(
    journal: &Journal,
    checkpoint: impl FnOnce() -> Result<(), AppendFailed>,
) -> Result<(), LedgerError> {
    let Some(due) = journal.begin_page()? else { return Ok(()) };
    if let Err(AppendFailed(error)) = checkpoint() {
        let source = io::Error::other(error);
        return Err(LedgerError { path: "journal".into(), verb: "written", source });
    }
    journal.complete_page(due)
}

fn begun(robot: u8) -> PaceRecord {
    PaceRecord::AttemptStarted {
        robot: RobotId::from_bytes([robot; 16]),
        platform: Platform::WeCom,
        at: T0,
    }
}

/// The records without the marks of a page's beginning.
fn written(restored: RestoredLog) -> Vec<PaceRecord> {
    restored.records.into_iter().filter(|record| *record != PaceRecord::SegmentStart).collect()
}

/// The number of pages with records: all but the one made ahead.
fn used_pages(dir: &Path) -> usize {
    let pages = segment::find(&settings(dir).dir).unwrap();
    pages.iter().filter(|page| segment::read(&fs::read(&page.path).unwrap()).len() > 1).count()
}

async fn seconds(count: u64) {
    tokio::time::advance(Duration::from_secs(count)).await;
}

#[tokio::test(start_paused = true)]
async fn notes_are_there_after_a_process_that_never_synced_them() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Clock::from(T0));
    let (journal, restored) = open(dir.path(), &clock);
    assert!(
        restored.records.is_empty() && !restored.complete,
        "who has no journal knows nothing for certain"
    );
    append(&journal, &begun(1)).unwrap();
    append(&journal, &begun(2)).unwrap();
    let (_, restored) = open(dir.path(), &clock);
    assert_eq!(
        restored.records,
        [PaceRecord::SegmentStart, begun(1), begun(2), PaceRecord::SegmentStart],
        "and the page that was made ahead"
    );
    assert!(restored.complete);
    let (_, restored) = open(dir.path(), &clock.after_reboot());
    assert!(!restored.complete, "what was not synced may be missing after the end of the machine");
}

#[tokio::test(start_paused = true)]
async fn a_note_cut_short_hides_only_itself() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Clock::from(T0));
    let (journal, _) = open(dir.path(), &clock);
    append(&journal, &begun(1)).unwrap();
    append(&journal, &begun(2)).unwrap();
    let first = segment::find(&settings(dir.path()).dir).unwrap().remove(0);
    let bytes = fs::read(&first.path).unwrap();
    fs::write(&first.path, &bytes[..bytes.len() - 1]).unwrap();
    let (journal, restored) = open(dir.path(), &clock);
    assert_eq!(written(restored), [begun(1)]);
    append(&journal, &begun(3)).unwrap();
    let (_, restored) = open(dir.path(), &clock);
    assert_eq!(
        restored.records.iter().position(|record| *record == begun(3)),
        Some(4),
        "behind two more pages"
    );
    assert_eq!(written(restored), [begun(1), begun(3)]);
}

#[tokio::test(start_paused = true)]
async fn old_pages_are_deleted_only_when_what_matters_of_them_is_on_a_new_one() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Clock::from(T0));
    let (journal, _) = open(dir.path(), &clock);
    append(&journal, &begun(1)).unwrap();
    seconds(50).await;
    rotate(&journal, || panic!("the page is not old")).unwrap();
    let restate =
        || append(&journal, &begun(7)).and_then(|()| append(&journal, &PaceRecord::Checkpoint));
    seconds(51).await;
    rotate(&journal, restate).unwrap();
    assert_eq!(used_pages(dir.path()), 2);
    seconds(101).await;
    let failing = || Err(AppendFailed("no room".into()));
    assert!(rotate(&journal, failing).is_err());
    assert_eq!(used_pages(dir.path()), 3, "nothing is deleted that was not restated");
    seconds(101).await;
    rotate(&journal, restate).unwrap();
    append(&journal, &begun(8)).unwrap();
    assert_eq!(used_pages(dir.path()), 2);
    let (_, restored) = open(dir.path(), &clock);
    assert_eq!(written(restored), [begun(7), PaceRecord::Checkpoint, begun(8)]);
}

#[tokio::test(start_paused = true)]
async fn a_journal_that_cannot_be_written_says_so_and_goes_on_when_it_can() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Clock::from(T0));
    let (journal, _) = open(dir.path(), &clock);
    let (folder, aside) = (settings(dir.path()).dir, dir.path().join("aside"));
    fs::rename(&folder, &aside).unwrap();
    seconds(101).await;
    assert!(rotate(&journal, || Ok(())).is_err());
    fs::rename(&aside, &folder).unwrap();
    append(&journal, &begun(1)).unwrap();
    seconds(1).await;
    rotate(&journal, || Ok(())).unwrap();
    let (_, restored) = open(dir.path(), &clock);
    assert!(restored.records.contains(&begun(1)));
}

#[tokio::test(start_paused = true)]
async fn the_paces_time_goes_on_over_a_restart_however_the_wall_clock_was_set() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Clock::from(T0));
    let (_, restored) = open(dir.path(), &clock);
    assert_eq!(restored.timeline.now(), T0, "it begins with the wall clock");
    for (step, total) in [(3_600_000, 1), (-7_200_000, 2), (0, 3)] {
        clock.set_ahead(step);
        seconds(1).await;
        let (_, restored) = open(dir.path(), &clock);
        assert_eq!(restored.timeline.now(), T0.after(Duration::from_secs(total)));
    }
}

#[tokio::test(start_paused = true)]
async fn after_the_end_of_the_machine_the_wall_clock_counts_from_its_last_correction() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Clock::from(T0));
    let (journal, _) = open(dir.path(), &clock);
    seconds(5).await;
    clock.set_ahead(3_600_000);
    append(&journal, &begun(1)).unwrap();
    seconds(7).await;
    let rebooted = clock.after_reboot();
    let (journal, restored) = open(dir.path(), &rebooted);
    assert_eq!(restored.timeline.now(), T0.after(Duration::from_secs(12)));
    // The wall clock is corrected while no record is written. The next commit writes the reading.
    rebooted.set_ahead(-3_600_000);
    journal.sync_now().unwrap();
    seconds(1).await;
    let (_, restored) = open(dir.path(), &rebooted.after_reboot());
    assert_eq!(restored.timeline.now(), T0.after(Duration::from_secs(13)));
}

#[tokio::test(start_paused = true)]
async fn an_answer_counts_as_just_given_if_the_clock_was_set_back_with_the_machine() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Clock::from(T0));
    let answered = |at| PaceRecord::AttemptEnded {
        robot: RobotId::from_bytes([1; 16]),
        platform: Platform::WeCom,
        at,
    };
    let (journal, restored) = open(dir.path(), &clock);
    append(&journal, &answered(restored.timeline.now())).unwrap();
    seconds(30).await;
    append(&journal, &answered(restored.timeline.now())).unwrap();
    let rebooted = clock.after_reboot();
    rebooted.set_ahead(-1_000_000);
    let (_, restored) = open(dir.path(), &rebooted);
    let now = T0.after(Duration::from_secs(30));
    assert_eq!(restored.timeline.now(), now, "not before the last note");
    assert_eq!(written(restored), [answered(now), answered(now)]);
}

#[tokio::test(start_paused = true)]
async fn a_page_of_a_version_without_readings_is_read_by_the_wall_clock() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Clock::from(T0));
    let folder = settings(dir.path()).dir;
    fs::create_dir_all(&folder).unwrap();
    let mut page = segment::Segment::create(&folder, 4, &clock.boot_id()).unwrap();
    page.append(&super::pace_record_codec::encode(&begun(1))).unwrap();
    seconds(9).await;
    let (_, restored) = open(dir.path(), &clock);
    assert_eq!(
        (restored.timeline.now(), restored.complete),
        (T0.after(Duration::from_secs(9)), true)
    );
    assert_eq!(restored.records, [PaceRecord::SegmentStart, begun(1)]);
}

/// A pacer with a quota of 20 in 60 seconds.
fn pace(journal: &Arc<Journal>, restored: RestoredLog) -> Pace {
    let windows = vec![WindowQuota { max: 20, span: Duration::from_secs(60) }];
    let quota = PlatformQuota {
        windows,
        margin: Duration::ZERO,
        rate_per_second: None,
        penalty_min: Duration::from_secs(60),
        penalty_max: Duration::from_secs(600),
    };
    let settings = PaceSettings {
        limits: PaceLimits { order_gap: Duration::ZERO, ..PaceLimits::by_default().unwrap() },
        quotas: PlatformMap::from_fn(|_| quota.clone()),
        hosts: PlatformMap::from_fn(|platform| platform.to_string()),
        health: HealthPolicy::by_default().unwrap(),
        breaker: BreakerPolicy::by_default().unwrap(),
        groups: BTreeMap::new(),
    };
    let pace = Pace::new(settings, Arc::clone(journal) as _, restored.timeline);
    pace.restore(restored.records);
    pace
}

/// Sends to one robot until its quota is used up; returns the number of sent messages.
async fn send(pace: &Pace) -> usize {
    let event = Event {
        id: EventId::new("e"),
        topic: "t".parse().unwrap(),
        content: EventContent::default(),
        urgent: false,
        received_at: T0,
        expires_at: T0.after(Duration::from_secs(86_400)),
        published: PublishedMessage::default(),
    };
    let ask = AdmissionRequest {
        robot: RobotId::from_bytes([1; 16]),
        platform: Platform::WeCom,
        subscription: SubscriptionId::from_bytes([1; 16]),
        overflow: OverflowPolicy::Queue,
        group: None,
        event: &Arc::new(event),
        position: QueuePosition::Tail,
        waited_for: None,
        early: true,
    };
    let mut sent = 0;
    while let PaceDecision::Granted(mut permit, _) =
        pace.wait_for_permit(&ask, pace.enqueue(&ask), &CancellationToken::new()).await
    {
        permit.mark_sent(false).await.unwrap();
        let _ = permit.finish(&AttemptOutcome::new(Verdict::Delivered, "0", "ok"), Duration::ZERO);
        sent += 1;
    }
    sent
}

#[tokio::test(start_paused = true)]
async fn no_step_of_the_wall_clock_before_a_restart_gives_a_robot_a_second_quota() {
    for (before, after) in
        [(3_600_000, 0), (0, 3_600_000), (-3_600_000, 0), (3_600_000, -7_200_000), (0, 0)]
    {
        let (dir, clock) = (tempfile::tempdir().unwrap(), Clock::from(T0));
        let open = || {
            let (journal, restored) = open(dir.path(), &clock);
            pace(&Arc::new(journal), restored)
        };
        let old = open();
        clock.set_ahead(before);
        assert_eq!(send(&old).await, 20);
        clock.set_ahead(after);
        seconds(1).await;
        let new = open();
        assert_eq!(send(&new).await, 0, "{before} {after}");
        // The window is not longer than the quota's either.
        seconds(60).await;
        assert_eq!(send(&open()).await, 20, "{before} {after}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_note_waits_for_no_sync() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Clock::from(T0));
    let open_journal = Arc::new(OnceLock::<Arc<Journal>>::new());
    let syncs = Arc::new(AtomicU32::new(0));
    // A disk whose sync lasts until another thread has written a record.
    let disk = FileSync::from({
        let (open_journal, syncs) = (Arc::clone(&open_journal), Arc::clone(&syncs));
        move |file| {
            if let Some(journal) = open_journal.get().cloned() {
                let (tell, told) = std::sync::mpsc::channel();
                std::thread::spawn(move || tell.send(append(&journal, &begun(1)).is_ok()));
                let noted = told.recv_timeout(Duration::from_secs(10));
                assert_eq!(noted, Ok(true), "a note waits for the disk");
                syncs.fetch_add(1, Ordering::Relaxed);
            }
            file.sync_all()
        }
    });
    let (journal, _) = Journal::open_on(disk, settings(dir.path()), clock.clone()).unwrap();
    let journal = open_journal.get_or_init(|| Arc::new(journal));
    append(journal, &begun(1)).unwrap();
    journal.sync_now().unwrap();
    assert_eq!(syncs.swap(0, Ordering::Relaxed), 1);
    seconds(101).await;
    rotate(journal, || append(journal, &begun(2))).unwrap();
    assert_eq!(
        syncs.load(Ordering::Relaxed),
        4,
        "the full page, the new one, and two for the next one"
    );
}

#[tokio::test(start_paused = true)]
async fn a_record_before_a_rotation_is_synced_with_the_next_commit() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Clock::from(T0));
    let (fails, synced) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
    let disk = FileSync::from({
        let (fails, synced) = (Arc::clone(&fails), Arc::clone(&synced));
        move |file| {
            if fails.load(Ordering::Relaxed) {
                return Err(io::Error::other("the disk is gone"));
            }
            synced.lock().unwrap().push(file.metadata()?.len());
            Ok(())
        }
    });
    let (journal, _) = Journal::open_on(disk, settings(dir.path()), clock).unwrap();
    journal.sync_now().unwrap();
    append(&journal, &begun(1)).unwrap();
    let full =
        fs::metadata(&segment::find(&settings(dir.path()).dir).unwrap()[0].path).unwrap().len();
    seconds(101).await;
    // It fails between the change of the page and its sync.
    assert!(rotate(&journal, || Err(AppendFailed("no room".into()))).is_err());
    fails.store(true, Ordering::Relaxed);
    assert!(journal.sync_now().is_err());
    fails.store(false, Ordering::Relaxed);
    synced.lock().unwrap().clear();
    journal.sync_now().unwrap();
    assert!(synced.lock().unwrap().contains(&full), "{full} {synced:?}");
}

#[tokio::test(start_paused = true)]
async fn a_page_that_breaks_is_followed_by_the_one_made_ahead() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Clock::from(T0));
    let (journal, _) = open(dir.path(), &clock);
    append(&journal, &begun(1)).unwrap();
    journal.break_segment();
    append(&journal, &begun(2)).unwrap();
    journal.break_segment();
    assert!(
        append(&journal, &begun(3)).is_err(),
        "the next one is made on a thread that may wait for the disk"
    );
    rotate(&journal, || append(&journal, &PaceRecord::Checkpoint)).unwrap();
    append(&journal, &begun(4)).unwrap();
    let (_, restored) = open(dir.path(), &clock);
    assert_eq!(written(restored), [begun(1), begun(2), PaceRecord::Checkpoint, begun(4)]);
}

#[tokio::test(start_paused = true)]
async fn a_rotation_that_is_cut_anywhere_loses_nothing_and_is_not_a_restart_of_the_machine() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Clock::from(T0));
    let (journal, _) = open(dir.path(), &clock);
    append(&journal, &begun(1)).unwrap();
    seconds(101).await;
    let pages = |dir: &Path| segment::find(&settings(dir).dir).unwrap();
    let mut made_ahead = Vec::new();
    rotate(&journal, || {
        made_ahead = pages(dir.path());
        append(&journal, &begun(2)).and_then(|()| append(&journal, &PaceRecord::Checkpoint))
    })
    .unwrap();
    let [old, new] = made_ahead.as_slice() else { panic!("the old page and the one made ahead") };
    let bytes = fs::read(&new.path).unwrap();
    let all = [begun(1), begun(2), PaceRecord::Checkpoint];
    for cut in 0..=bytes.len() {
        let copy = tempfile::tempdir().unwrap();
        let folder = settings(copy.path()).dir;
        fs::create_dir(&folder).unwrap();
        fs::copy(&old.path, folder.join(old.path.file_name().unwrap())).unwrap();
        fs::write(folder.join(new.path.file_name().unwrap()), &bytes[..cut]).unwrap();
        let (_, restored) = open(copy.path(), &clock);
        assert!(restored.complete, "cut at {cut}");
        assert_eq!(restored.timeline.now(), T0.after(Duration::from_secs(101)), "cut at {cut}");
        let records = written(restored);
        assert!(!records.is_empty() && all.starts_with(&records), "cut at {cut}: {records:?}");
    }
}
