//! The store against kill -9 at any moment. The daemon is killed while it adds, updates, removes,
//! imports and rotates keys.
//!
//! Owns the promise that each start finds exactly the acknowledged state. `tests/run.sh` runs a few
//! rounds; `ROOMCAST_CRASH_ROUNDS` sets another number.
//!
//! Not here: crashes with deliveries (`crash.rs`).

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rand::{Rng, RngExt, SeedableRng, rngs::SmallRng, seq::IndexedRandom};
use serde_json::Value;

use crate::support::{
    daemon::{Home, endpoint},
    until,
};

const ROUNDS: usize = 12;
const SOON: Duration = Duration::from_secs(60);

/// The expected state of one subscription, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Known {
    /// It exists with this id, active or paused.
    There { id: String, paused: bool },
    /// It was removed.
    Gone { id: String },
    /// The last request about it was not acknowledged.
    Unknown,
}

type Model = BTreeMap<String, Known>;

fn name(number: usize) -> String {
    format!("n{number:06}")
}

fn webhook(number: usize) -> String {
    endpoint("wecom", &format!("token-{number:06}-0123456789abcdef"))
}

/// Makes one request. Acknowledged changes update the model.
fn act(home: &Home, model: &Mutex<Model>, next: &mut usize, random: &mut impl Rng) {
    let there: Vec<(String, String)> = {
        let model = model.lock().unwrap();
        let there = model.iter().filter_map(|(name, known)| match known {
            Known::There { id, .. } => Some((name.clone(), id.clone())),
            _ => None,
        });
        there.collect()
    };
    let set = |name: &str, known: Known| drop(model.lock().unwrap().insert(name.to_owned(), known));
    let picked = there.choose(random).cloned();
    match (random.random_range(0..10), picked) {
        (0..=3, _) | (_, None) => {
            let name = name(*next);
            set(&name, Known::Unknown);
            let arguments =
                ["subscription", "add", "--topic", "ops", "--platform", "wecom", "--name", &name];
            let output = home.cli(&arguments, &webhook(*next));
            *next += 1;
            if output.status.success() {
                let id = String::from_utf8(output.stdout).unwrap().trim().to_owned();
                set(&name, Known::There { id, paused: false });
            }
        }
        (4, _) => {
            let numbers = *next..*next + 100;
            *next += 100;
            let mut table = "topic,platform,endpoint,name\n".to_owned();
            for number in numbers.clone() {
                set(&name(number), Known::Unknown);
                table.push_str(&format!("many,wecom,{},{}\n", webhook(number), name(number)));
            }
            if home.cli(&["subscription", "import"], &table).status.success() {
                // The ids become known with the next listing. Until then only their existence is
                // known.
                numbers.for_each(|number| {
                    set(&name(number), Known::There { id: String::new(), paused: false })
                });
            }
        }
        (5..=7, Some((name, id))) if !id.is_empty() => {
            set(&name, Known::Unknown);
            if home.cli(&["subscription", "remove", &id], "").status.success() {
                set(&name, Known::Gone { id });
            }
        }
        (8, Some((name, id))) if !id.is_empty() => {
            set(&name, Known::Unknown);
            if home.cli(&["subscription", "pause", &id], "").status.success() {
                set(&name, Known::There { id, paused: true });
            }
        }
        _ => {
            let what =
                if random.random() { &["key", "rotate", "--data"][..] } else { &["key", "rotate"] };
            let _ = home.cli(what, "");
        }
    }
}

/// Compares the store with the model, and completes unknown entries.
fn check(home: &Home, model: &mut Model) {
    let listed = home.ok(&["subscription", "list", "--json"], "");
    let mut found: BTreeMap<String, Known> = listed
        .lines()
        .map(|line| {
            let one: Value = serde_json::from_str(line).unwrap();
            let text = |key: &str| one[key].as_str().unwrap().to_owned();
            (text("name"), Known::There { id: text("id"), paused: text("state") == "paused" })
        })
        .collect();
    for (name, known) in model.iter_mut() {
        let is = found.remove(name);
        match (&*known, is) {
            (Known::There { id, paused }, Some(Known::There { id: found, paused: now })) => {
                assert!(
                    (id.is_empty() || *id == found) && *paused == now,
                    "{name} is another than was acknowledged"
                );
                *known = Known::There { id: found, paused: now };
            }
            (Known::There { .. }, None) => panic!("{name} was added and is lost"),
            (Known::Gone { .. }, Some(_)) => panic!("{name} was removed and is there"),
            (Known::Unknown, Some(is)) => *known = is,
            _ => {}
        }
    }
    assert!(found.is_empty(), "nobody has added {found:?}");
    home.ok(&["store", "verify"], "");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_at_any_moment_the_store_holds_every_acknowledged_change() {
    let rounds =
        std::env::var("ROOMCAST_CRASH_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    let seed = std::env::var("ROOMCAST_CRASH_SEED")
        .map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    println!("ROOMCAST_CRASH_SEED={seed}");
    let mut random = SmallRng::seed_from_u64(seed);
    let home = Arc::new(Home::with_prefix(
        "amqp://guest:guest@127.0.0.1:9/%2f",
        "none",
        "http://127.0.0.1:9",
        "",
    ));
    let model = Arc::new(Mutex::new(Model::new()));
    let mut next = 0;
    for round in 1..=rounds {
        let daemon = home.spawn();
        let socket = home.path("admin.sock");
        until("the daemon answers", SOON, || async {
            tokio::net::UnixStream::connect(&socket).await.is_ok()
        })
        .await;
        let stop = Arc::new(AtomicBool::new(false));
        let worker = {
            let (home, model, stop) = (Arc::clone(&home), Arc::clone(&model), Arc::clone(&stop));
            let (mut random, first) = (SmallRng::seed_from_u64(random.random()), next);
            std::thread::spawn(move || {
                let mut next = first;
                while !stop.load(Ordering::Relaxed) {
                    act(&home, &model, &mut next, &mut random);
                }
                next
            })
        };
        tokio::time::sleep(Duration::from_millis(random.random_range(50..1500))).await;
        stop.store(true, Ordering::Relaxed);
        daemon.kill();
        next = worker.join().unwrap();
        // Without a daemon the command line opens the store itself, as the next daemon does.
        let mut model = model.lock().unwrap();
        check(&home, &mut model);
        println!("round {round}: {} subscriptions were asked for so far", model.len());
    }
    let gone = model.lock().unwrap().values().find_map(|known| match known {
        Known::Gone { id } => Some(id.clone()),
        _ => None,
    });
    if let Some(id) = gone {
        assert!(home.ok(&["store", "prove-erased", &id], "").contains("erased: no key"));
    }
}
