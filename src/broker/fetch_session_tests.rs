//! Sessions as a client sees them, step by step.

use super::*;

fn key(index: i32) -> PartitionKey {
    PartitionKey {
        topic: TopicKey::Name("t".into()),
        index,
    }
}

fn wanted(fetch_offset: i64) -> Wanted {
    Wanted {
        fetch_offset,
        bytes_max: 100,
        current_leader_epoch: -1,
        last_fetched_epoch: -1,
    }
}

fn request(session_id: i32, epoch: i32, indexes: &[i32]) -> SessionRequest {
    let wanted = indexes
        .iter()
        .map(|index| (key(*index), wanted(0)))
        .collect();
    SessionRequest {
        session_id,
        epoch,
        uses_topic_ids: false,
        wanted,
        forgotten: Vec::new(),
    }
}

const QUIET: Answered = Answered {
    high_watermark: 5,
    log_start_offset: 0,
    has_records: false,
    is_error: false,
    is_diverging: false,
};

fn open(sessions: &FetchSessions, indexes: &[i32], now_ms: i64) -> i32 {
    let context = sessions.begin(request(0, 0, indexes), now_ms).unwrap();
    let answer = sessions
        .finish(context, &vec![QUIET; indexes.len()], now_ms)
        .unwrap();
    assert_eq!(answer.included, vec![true; indexes.len()]);
    answer.session_id
}

fn order(context: &FetchContext) -> Vec<i32> {
    context
        .partitions
        .iter()
        .map(|(key, _)| key.index)
        .collect()
}

#[test]
fn an_incremental_answer_holds_only_what_is_new_and_served_partitions_go_to_the_end() {
    let sessions = FetchSessions::new(10);
    let id = open(&sessions, &[0, 1, 2], 0);
    assert_ne!(id, NO_SESSION);
    let context = sessions.begin(request(id, 1, &[]), 1).unwrap();
    assert_eq!(order(&context), [0, 1, 2]);
    let records = Answered {
        has_records: true,
        ..QUIET
    };
    let answer = sessions
        .finish(context, &[records, QUIET, QUIET], 1)
        .unwrap();
    assert_eq!(answer.included, [true, false, false]);
    let context = sessions.begin(request(id, 2, &[]), 2).unwrap();
    assert_eq!(order(&context), [1, 2, 0]);
    let error = Answered {
        is_error: true,
        high_watermark: -1,
        ..QUIET
    };
    let moved = Answered {
        log_start_offset: 3,
        ..QUIET
    };
    let answer = sessions.finish(context, &[error, moved, QUIET], 2).unwrap();
    assert_eq!(answer.included, [true, true, false]);
    let context = sessions.begin(request(id, 3, &[]), 3).unwrap();
    let answer = sessions.finish(context, &[QUIET, moved, QUIET], 3).unwrap();
    assert_eq!(
        answer.included,
        [true, false, false],
        "the watermark is sent again after an error"
    );
}

#[test]
fn forgotten_partitions_go_and_the_last_one_closes_the_session() {
    let sessions = FetchSessions::new(10);
    let id = open(&sessions, &[0, 1], 0);
    let forget = |epoch, index| SessionRequest {
        forgotten: vec![key(index)],
        ..request(id, epoch, &[])
    };
    assert_eq!(order(&sessions.begin(forget(1, 0), 0).unwrap()), [1]);
    let context = sessions.begin(forget(2, 1), 0).unwrap();
    assert!(context.partitions.is_empty());
    assert_eq!(
        sessions.finish(context, &[], 0).unwrap().session_id,
        NO_SESSION
    );
    assert!(sessions.is_empty());
}

#[test]
fn wrong_ids_epochs_and_namings_have_their_errors() {
    let sessions = FetchSessions::new(10);
    let id = open(&sessions, &[0], 0);
    let error = |request| sessions.begin(request, 0).unwrap_err();
    assert_eq!(
        error(request(id.wrapping_add(1), 1, &[])),
        SessionError::NotFound
    );
    assert_eq!(error(request(0, 1, &[])), SessionError::NotFound);
    assert_eq!(error(request(id, 2, &[])), SessionError::WrongEpoch);
    let by_id = SessionRequest {
        uses_topic_ids: true,
        ..request(id, 1, &[])
    };
    assert_eq!(error(by_id), SessionError::TopicIdError);
    assert_eq!(sessions.len(), 1, "an error leaves the session as it was");
}

#[test]
fn a_full_request_with_an_id_closes_that_session_and_minus_one_opens_none() {
    let sessions = FetchSessions::new(10);
    let first = open(&sessions, &[0], 0);
    let context = sessions.begin(request(first, 0, &[0]), 0).unwrap();
    let second = sessions.finish(context, &[QUIET], 0).unwrap().session_id;
    assert_eq!(sessions.len(), 1);
    let context = sessions.begin(request(second, -1, &[0]), 0).unwrap();
    assert_eq!(
        sessions.finish(context, &[QUIET], 0).unwrap().session_id,
        NO_SESSION
    );
    assert!(sessions.is_empty());
    let recover = sessions.begin(request(12_345, 0, &[0]), 0).unwrap();
    assert_ne!(
        sessions.finish(recover, &[QUIET], 0).unwrap().session_id,
        NO_SESSION
    );
}

#[test]
fn a_full_cache_gives_up_idle_sessions_then_old_smaller_ones_and_else_opens_none() {
    let sessions = FetchSessions::new(1);
    let first = open(&sessions, &[0], 0);
    assert_eq!(
        open(&sessions, &[0, 1], 1_000),
        NO_SESSION,
        "young sessions stay"
    );
    let touch = sessions
        .begin(request(first, 1, &[]), EVICTION_AGE_MS)
        .unwrap();
    sessions.finish(touch, &[QUIET], EVICTION_AGE_MS).unwrap();
    assert_eq!(
        open(&sessions, &[3], EVICTION_AGE_MS + 1),
        NO_SESSION,
        "not smaller, not idle"
    );
    assert_ne!(
        open(&sessions, &[0, 1], EVICTION_AGE_MS + 1),
        NO_SESSION,
        "old and smaller"
    );
    assert_ne!(
        open(&sessions, &[7], 3 * EVICTION_AGE_MS),
        NO_SESSION,
        "idle"
    );
    assert_eq!(sessions.len(), 1);
    assert_eq!(open(&FetchSessions::new(0), &[0], 0), NO_SESSION);
}

#[test]
fn epochs_wrap_to_one() {
    assert_eq!(next_epoch(0), 1);
    assert_eq!(next_epoch(i32::MAX), 1);
}

#[test]
fn sessions_have_room_for_so_many_bytes_and_who_finds_none_is_served_without_one() {
    let size = key(0).session_size();
    let sessions = FetchSessions::within(10, 3 * size);
    let bytes = || sessions.lock().bytes;
    assert_eq!(open(&sessions, &[0, 1, 2, 3], 0), NO_SESSION, "too large");
    let first = open(&sessions, &[0, 1], 0);
    assert_eq!(
        open(&sessions, &[0, 1], 1),
        NO_SESSION,
        "young sessions stay"
    );
    let second = open(&sessions, &[0], 1);
    assert_eq!(bytes(), 3 * size);
    sessions.begin(request(first, 1, &[0, 1]), 2).unwrap();
    let grown = sessions.begin(request(first, 2, &[2]), 2).unwrap_err();
    assert_eq!(grown, SessionError::NotFound, "it opens a new one");
    assert_eq!(bytes(), size);
    sessions.begin(request(second, 1, &[1, 2]), 2).unwrap();
    let forget = SessionRequest {
        forgotten: vec![key(1), key(2)],
        ..request(second, 2, &[])
    };
    sessions.begin(forget, 2).unwrap();
    assert_eq!(bytes(), size);
    assert_ne!(open(&sessions, &[5, 6, 7], 3 * EVICTION_AGE_MS), NO_SESSION);
    assert_eq!(
        (sessions.len(), bytes()),
        (1, 3 * size),
        "an idle one made room"
    );
}
