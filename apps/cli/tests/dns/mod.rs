//! A DNS server on loopback that knows what it is told, and nothing else (RFC 1035).

use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::sync::{Arc, Mutex};

/// Records by name in lower case and type, as the data of each.
type Records = Arc<Mutex<BTreeMap<(String, u16), Vec<Vec<u8>>>>>;

/// It answers until the test's process ends.
pub struct Dns {
    records: Records,
    address: String,
}

const A: u16 = 1;
const SRV: u16 = 33;

impl Dns {
    /// Starts it, with nothing to tell.
    pub fn start() -> Dns {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap().to_string();
        let records = Records::default();
        let known = records.clone();
        std::thread::spawn(move || {
            let mut question = [0; 1500];
            while let Ok((length, from)) = socket.recv_from(&mut question) {
                if let Some(answer) = answer(&question[..length], &known) {
                    let _ = socket.send_to(&answer, from);
                }
            }
        });
        Dns { records, address }
    }

    /// Where it is.
    pub fn address_of_server(&self) -> String {
        self.address.clone()
    }

    /// Adds an SRV record with weight 1.
    pub fn srv(&mut self, name: &str, priority: u16, port: u16, target: &str) {
        let mut data: Vec<u8> = [priority, 1, port].iter().flat_map(|number| number.to_be_bytes()).collect();
        data.extend(encoded(target));
        self.add(name, SRV, data);
    }

    /// Adds an A record.
    pub fn address(&mut self, name: &str, address: [u8; 4]) {
        self.add(name, A, address.to_vec());
    }

    fn add(&self, name: &str, kind: u16, data: Vec<u8>) {
        self.records.lock().unwrap().entry((name.to_owned(), kind)).or_default().push(data);
    }
}

fn encoded(name: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for label in name.split('.') {
        out.push(u8::try_from(label.len()).unwrap());
        out.extend(label.bytes());
    }
    out.push(0);
    out
}

/// The answer to the one question of a message.
fn answer(message: &[u8], records: &Records) -> Option<Vec<u8>> {
    let (mut at, mut labels) = (12, Vec::new());
    loop {
        let length = usize::from(*message.get(at)?);
        if length == 0 {
            break;
        }
        labels.push(String::from_utf8(message.get(at + 1..at + 1 + length)?.to_vec()).ok()?.to_lowercase());
        at += 1 + length;
    }
    let end = at + 5;
    let kind = u16::from_be_bytes(message.get(at + 1..at + 3)?.try_into().ok()?);
    let name = labels.join(".");
    let records = records.lock().unwrap();
    let found = records.get(&(name.clone(), kind)).cloned().unwrap_or_default();
    let exists = records.keys().any(|(known, _)| *known == name || known.ends_with(&format!(".{name}")));
    let mut out = message.get(..2)?.to_vec();
    // An authoritative answer, with recursion; NXDOMAIN for a name that has no records.
    out.extend([0x85, if exists { 0x80 } else { 0x83 }]);
    for count in [1, u16::try_from(found.len()).ok()?, 0, 0] {
        out.extend(count.to_be_bytes());
    }
    out.extend(message.get(12..end)?);
    for data in found {
        // The name of the question, class IN, a minute.
        out.extend([0xc0, 12]);
        out.extend(kind.to_be_bytes());
        out.extend([0, 1, 0, 0, 0, 60]);
        out.extend(u16::try_from(data.len()).ok()?.to_be_bytes());
        out.extend(data);
    }
    Some(out)
}
