//! Of a webhook and its secret no copy stays in memory that our code made: looked for byte by byte in this process.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test that meets the unexpected fails by panicking"
)]

use std::{
    collections::BTreeSet,
    fs::File,
    io::{Read, Seek, SeekFrom},
};

use memchr::memmem;
use roomcast::{
    admin::{Desk, wire},
    crypto::MasterKey,
    domain::Secret,
    store::{Settings, Store},
};
use zeroize::{Zeroize, Zeroizing};

/// A text that stands nowhere in the program: it is written backwards there.
fn backwards(text: &str) -> Zeroizing<String> {
    // As long as the text, so that it does not move while it is made.
    let mut made = Zeroizing::new(String::with_capacity(text.len()));
    made.extend(text.chars().rev());
    made
}

const TOKEN: &str = "10-nekot-kram-eht-si-siht-fo-ypoc-yreve";
const SECRET: &str = "10-terces-kram-eht-si-siht-fo-ypoc-yrevE";

/// Where each mark stands in the memory of this process that can be written to, stacks left out.
fn copies(marks: [&str; 2]) -> [BTreeSet<usize>; 2] {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let mut memory = File::open("/proc/self/mem").unwrap();
    let mut buffer = vec![0_u8; 1 << 16];
    let own = buffer.as_ptr() as usize..buffer.as_ptr() as usize + buffer.len();
    let mut found = [BTreeSet::new(), BTreeSet::new()];
    for line in maps.lines().filter(|line| line.contains(" rw-p ") && !line.contains("[stack]")) {
        let (range, _) = line.split_once(' ').unwrap();
        let (from, to) = range.split_once('-').unwrap();
        let [from, to] = [from, to].map(|text| usize::from_str_radix(text, 16).unwrap());
        let mut at = from;
        while at < to {
            let length = (to - at).min(buffer.len());
            memory.seek(SeekFrom::Start(at as u64)).unwrap();
            if memory.read_exact(&mut buffer[..length]).is_ok() {
                for (mark, found) in marks.iter().zip(&mut found) {
                    let here = memmem::find_iter(&buffer[..length], mark.as_bytes()).map(|place| at + place);
                    found.extend(here.filter(|place| !own.contains(place)));
                }
            }
            // Pieces overlap, so that no mark is cut.
            at += if length == buffer.len() { length - 64 } else { length };
        }
    }
    buffer.zeroize();
    found
}

/// As the API does it: from the body of a request to the store and back.
fn add_show_export_update_and_remove(desk: &Desk) {
    let (token, secret) = (backwards(TOKEN), backwards(SECRET));
    let start = "{\"topic\": \"ops\", \"platform\": \"dingtalk\", \"endpoint\": \"https://oapi.dingtalk.com/robot/send?access_token=";
    let body = Zeroizing::new([start, &token, "\", \"secret\": \"", &secret, "\"}"].concat());
    let request: wire::AddRequest = serde_json::from_str(&body).unwrap();
    let id = desk.add(request).unwrap().id;
    let key = Secret::new("ab".repeat(32));
    let export = wire::ExportRequest { query: wire::ListQuery::default(), key };
    assert_eq!(desk.export(&export).unwrap().sealed.len(), 1);
    desk.show(&id).unwrap();
    desk.update(&id, wire::UpdateRequest { name: Some("x".to_owned()), ..Default::default() }).unwrap();
    desk.remove(&id).unwrap();
}

#[test]
fn no_copy_of_a_webhook_stays_in_memory_after_its_subscription_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("master.key");
    MasterKey::generate_file(&path).unwrap();
    let settings = Settings { dir: folder.path().join("data") };
    let desk = Desk::new(Store::open(&settings, &MasterKey::load(&path).unwrap()).unwrap());
    let kept = [backwards(TOKEN), backwards(SECRET)];
    let marks = [kept[0].as_str(), kept[1].as_str()];
    let known = marks.map(|mark| BTreeSet::from([mark.as_ptr() as usize]));
    assert_eq!(copies(marks), known, "what is looked for is found where it is kept");
    add_show_export_update_and_remove(&desk);
    assert_eq!(copies(marks), known, "it is nowhere else");
}
