//! The store on disks that misbehave: full, failing once, stalled, without power, with flipped bytes.

#![cfg(test)]
#![allow(clippy::unwrap_used)]

use super::super::*;
use super::plate::{HURRY, Plate, Random, call, open, said, sids, status, texts, until};

#[tokio::test]
async fn a_full_disk_cuts_no_call_and_loses_no_record() {
    let disk = Plate::new();
    let store = open(&disk);
    store.open_call(call("CA1")).await.unwrap();
    assert!(store.flush().await);
    disk.set(|d| d.room = d.live.len());

    let filler = "x".repeat(4000);
    let mut sent = vec![];
    while store.health().ok {
        sent.push(format!("{} {filler}", sent.len()));
        store.note(said("CA1", sent[sent.len() - 1].clone()));
        std::thread::yield_now();
    }
    let slow = WriteError::Slow {
        call_sid: "CA2".into(),
    };
    assert_eq!(store.open_call(call("CA2")).await, Err(slow));
    store.change_call("CA1", status("completed"));
    assert!(store.health().queued >= 2);
    assert!(!store.health().last_error.is_empty());
    until("the readers have the database again", || {
        store.calls(CallQuery::default()).is_ok()
    });
    assert_eq!(store.call("CA1").unwrap().unwrap().status, "ringing");

    disk.set(|d| d.room = usize::MAX);
    until("the store has healed", || store.health().ok);
    assert!(store.flush().await);
    assert_eq!(texts(&store), sent);
    assert_eq!(sids(&store), ["CA1", "CA2"]);
    assert_eq!(store.call("CA1").unwrap().unwrap().status, "completed");
    let health = store.health();
    assert_eq!(
        (health.queued, health.dropped, health.last_error.as_str()),
        (0, 0, "")
    );
}

#[tokio::test]
async fn closing_on_a_full_disk_ends() {
    let disk = Plate::new();
    let store = open(&disk);
    store.open_call(call("CA1")).await.unwrap();
    disk.set(|d| d.room = 0);
    store.note(said("CA1", "lost".into()));
    until("the disk has refused", || !store.health().ok);
    store.close();
    disk.set(|d| d.room = usize::MAX);
    assert_eq!(sids(&open(&disk)), ["CA1"]);
}

#[tokio::test]
async fn any_single_failure_of_the_disk_heals() {
    for fails_in in 0..60 {
        let disk = Plate::new();
        let store = open(&disk);
        store.open_call(call("CA0")).await.unwrap();
        disk.set(|d| d.fails_in = Some(fails_in));
        let mut sent = vec![];
        let mut opened = vec!["CA0".to_owned()];
        for n in 1..12 {
            opened.push(format!("CA{n}"));
            match store.open_call(call(&opened[n])).await {
                Ok(_) | Err(WriteError::Slow { .. }) => {}
                Err(other) => panic!("failure {fails_in}: {other}"),
            }
            store.change_call(&opened[n], status("completed"));
            sent.push(n.to_string());
            store.note(said(&opened[n], n.to_string()));
        }
        until("the store has healed", || {
            store.health().ok && store.health().queued == 0
        });
        store.close();
        disk.set(|d| d.fails_in = None);
        let store = open(&disk);
        assert_eq!(texts(&store), sent, "failure {fails_in}");
        assert_eq!(sids(&store), opened, "failure {fails_in}");
        let unfinished = CallQuery {
            status: Some("ringing".into()),
            ..CallQuery::default()
        };
        assert_eq!(
            store.calls(unfinished).unwrap().rows,
            [],
            "failure {fails_in}"
        );
        assert!(disk.lock().aside.is_none(), "failure {fails_in}");
    }
}

/// Cuts the power at some operation, keeps a random part of what was not synced, and says what of the acknowledged is missing.
async fn cut_power(seed: u64, lies: bool) -> Result<(), String> {
    let mut random = Random::seeded(seed);
    let disk = Plate::new();
    disk.set(|d| d.lies = lies);
    let store = open(&disk);
    disk.set(|d| (d.fails_in, d.for_good) = (Some(random.below(400)), true));
    let (mut acknowledged, mut flushed) = (vec![], 0);
    for n in 0..60_u64 {
        let sid = format!("CA{n}");
        store.note(said(
            &sid,
            format!("{n} {}", "y".repeat(random.below(6000) as usize)),
        ));
        if random.below(4) == 0 && store.health().ok {
            until("flushed, or the power is gone", || {
                !store.health().ok || store.health().queued == 0
            });
            // Healthy and empty: all that was noted is durable.
            if store.health().ok && store.health().queued == 0 {
                flushed = n + 1;
            }
        }
        if store.open_call(call(&sid)).await.is_ok() {
            acknowledged.push(sid);
        }
    }
    let image = disk.after_power_cut(&mut random);
    store.close();
    let disk = Plate::of(image);
    let store = Store::open_with(Box::new(disk.clone()), 9, HURRY).map_err(|e| e.to_string())?;
    if disk.lock().aside.is_some() {
        return Err("taken for damaged".into());
    }
    let kept = sids(&store);
    if let Some(lost) = acknowledged.iter().find(|sid| !kept.contains(sid)) {
        return Err(format!(
            "{lost} of {} acknowledged calls is lost",
            acknowledged.len()
        ));
    }
    let texts = texts(&store);
    for (n, text) in (0..texts.len() as u64).zip(&texts) {
        if !text.starts_with(&format!("{n} ")) {
            return Err(format!("event {n} reads {text:.9}"));
        }
    }
    if (texts.len() as u64) < flushed {
        return Err(format!(
            "{} events of {flushed} flushed ones are there",
            texts.len()
        ));
    }
    Ok(())
}

#[tokio::test]
async fn a_power_cut_loses_nothing_acknowledged() {
    for seed in 0..100 {
        if let Err(reason) = cut_power(seed, false).await {
            panic!("seed {seed}: {reason}");
        }
    }
}

#[tokio::test]
async fn the_power_cut_test_finds_a_disk_that_does_not_sync() {
    let mut found = 0;
    for seed in 0..20 {
        found += u32::from(cut_power(seed, true).await.is_err());
    }
    assert!(found >= 10, "{found} of 20");
}

#[tokio::test]
async fn what_comes_while_the_disk_stalls_is_bounded_and_counted() {
    let disk = Plate::new();
    let store = open(&disk);
    disk.set(|d| d.stalled = true);
    for n in 0..QUEUE_EVENTS + 10 {
        store.note(said("CA1", n.to_string()));
    }
    let health = store.health();
    assert_eq!(
        (health.queued, health.dropped, health.dropped_changes),
        (QUEUE_EVENTS, 10, 0)
    );
    disk.set(|d| d.stalled = false);
    assert!(store.flush().await);
    assert_eq!(store.health().rows, QUEUE_EVENTS as u64);
    let newest = store
        .events(EventQuery {
            limit: 1,
            ..EventQuery::default()
        })
        .unwrap()
        .rows;
    assert_eq!(newest[0].text, (QUEUE_EVENTS - 1).to_string());
}

#[tokio::test]
async fn a_thousand_waiting_events_are_one_commit() {
    let disk = Plate::new();
    let store = open(&disk);
    disk.set(|d| d.stalled = true);
    store.note(said("CA1", "first".into()));
    until("the writer has taken it", || {
        disk.lock().operations > 0 && store.shared.queue.in_hand() == 1
    });
    for n in 0..2500 {
        store.note(said("CA1", n.to_string()));
    }
    let before = store.health().commits;
    disk.set(|d| d.stalled = false);
    assert!(store.flush().await);
    assert_eq!(store.health().commits - before, 4, "1 + 1000 + 1000 + 500");
}

#[tokio::test(start_paused = true)]
async fn open_call_does_not_wait_for_a_stalled_disk() {
    let disk = Plate::new();
    let store = open(&disk);
    disk.set(|d| d.stalled = true);
    let slow = WriteError::Slow {
        call_sid: "CA1".into(),
    };
    assert_eq!(store.open_call(call("CA1")).await, Err(slow));
    disk.set(|d| d.stalled = false);
    until("it is written all the same", || {
        store.call("CA1").is_ok_and(|call| call.is_some())
    });
}

/// Flips one byte of a database at many places: it opens with everything in it, or it is set aside. Nothing in between.
#[tokio::test]
async fn a_flipped_byte_is_never_a_panic_nor_a_silent_loss() {
    let disk = Plate::new();
    let store = open(&disk);
    let mut sent = vec![];
    for n in 0..400 {
        sent.push(format!("{n} {}", "z".repeat(200)));
        store.note(said("CA1", sent[n].clone()));
    }
    store.open_call(call("CA1")).await.unwrap();
    assert!(store.flush().await);
    store.close();
    let image = disk.lock().live.clone();
    let mut random = Random::seeded(4);
    let (mut whole, mut aside) = (0, 0);
    // Every byte of both headers' first fields, then places all over the file.
    let far: Vec<_> = (0..400)
        .map(|_| random.below(image.len() as u64) as usize)
        .collect();
    for at in (0..100).chain(far) {
        let mut damaged = image.clone();
        damaged[at] ^= 1 << random.below(8);
        let disk = Plate::of(damaged);
        let store = match Store::open_with(Box::new(disk.clone()), 9, HURRY) {
            Ok(store) => store,
            // A version number that exists is somebody's older file and is left alone.
            Err(OpenError::Foreign { .. }) => continue,
            Err(other) => panic!("byte {at}: {other}"),
        };
        if disk.lock().aside.is_some() {
            aside += 1;
            assert_eq!(store.health().set_aside, "plate.damaged");
            assert_eq!(
                store.events(EventQuery::default()).unwrap().rows[0].event,
                DAMAGED_EVENT
            );
        } else {
            whole += 1;
            assert_eq!(texts(&store), sent, "byte {at}");
            assert_eq!(sids(&store), ["CA1"], "byte {at}");
        }
    }
    assert!(whole > 10 && aside > 10, "{whole} whole, {aside} set aside");
}
