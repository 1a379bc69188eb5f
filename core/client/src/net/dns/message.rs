//! DNS messages (RFC 1035 §4), as far as finding a SIP server takes them: one question is written, its answer read.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::super::resolve_error::RecordType;

/// RFC 1035 §3.1, the closing zero counted in.
const MAX_NAME: usize = 255;
const MAX_LABEL: usize = 63;
/// Records read from one answer; what is beyond them does not count.
const MAX_READ: u16 = 512;
/// The largest answer over UDP that we ask for: it passes every network in one piece.
const UDP_PAYLOAD: u16 = 1232;

const CLASS_IN: u16 = 1;
const CNAME: u16 = 5;
const SOA: u16 = 6;
const OPT: u16 = 41;

/// "There is no such name" (RFC 1035 §4.1.1).
pub const NXDOMAIN: u16 = 3;
/// The server does not understand the question: mostly its extension (RFC 6891 §7).
pub const FORMERR: u16 = 1;

/// An absolute name as it goes over the wire: labels behind their lengths, and a zero.
#[derive(Clone, PartialEq, Eq)]
pub struct Name(Box<[u8]>);

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// A or AAAA.
    Address(IpAddr),
    /// CNAME.
    Alias(Name),
    /// RFC 2782.
    Srv { priority: u16, weight: u16, port: u16, target: Name },
    /// RFC 3403 §4.1.
    Naptr(Naptr),
}

/// A NAPTR record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Naptr {
    pub order: u16,
    pub preference: u16,
    pub flags: Vec<u8>,
    pub services: Vec<u8>,
    pub regexp: Vec<u8>,
    pub replacement: Name,
}

/// A record of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub owner: Name,
    /// For how long it may be believed, in seconds.
    pub ttl: u32,
    pub data: Data,
}

/// An answer to our question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// It did not fit; nothing of it was read.
    pub truncated: bool,
    /// The response code.
    pub code: u16,
    /// The records of the answer section whose kind is one of ours.
    pub records: Vec<Record>,
    /// For how long "there is none" may be believed, in seconds (RFC 2308 §5), if the answer says.
    pub negative_ttl: Option<u32>,
}

/// Why bytes are no answer to be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// They answer something else: late, or from somebody who guesses.
    NotOurs,
    /// They break the format.
    Malformed,
}

impl Name {
    /// `None` for what is no name of DNS.
    pub fn new(text: &str) -> Option<Name> {
        let mut wire = Vec::with_capacity(text.len() + 2);
        for label in text.strip_suffix('.').unwrap_or(text).split('.') {
            let length = u8::try_from(label.len())
                .ok()
                .filter(|length| (1..=MAX_LABEL).contains(&(*length).into()))?;
            if !label.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
                return None;
            }
            wire.push(length);
            wire.extend(label.bytes());
        }
        wire.push(0);
        (wire.len() <= MAX_NAME).then(|| Name(wire.into()))
    }

    pub fn is_root(&self) -> bool {
        self.0.len() == 1
    }

    /// Whether it is the same name: case does not count (RFC 4343). No length is a letter.
    pub fn is(&self, other: &Name) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl fmt::Display for Name {
    /// Without the dot at its end; bytes that no host name has as `\DDD`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest: &[u8] = &self.0;
        let mut dot = "";
        while let Some((length, behind)) = rest.split_first()
            && let Some((label, next)) = behind.split_at_checked((*length).into())
            && !label.is_empty()
        {
            f.write_str(dot)?;
            for byte in label {
                match byte {
                    b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => {
                        write!(f, "{}", char::from(*byte))?
                    }
                    other => write!(f, "\\{other:03}")?,
                }
            }
            (rest, dot) = (next, ".");
        }
        Ok(())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}.")
    }
}

fn code(record: RecordType) -> u16 {
    match record {
        RecordType::A => 1,
        RecordType::Aaaa => 28,
        RecordType::Srv => 33,
        RecordType::Naptr => 35,
    }
}

impl Data {
    /// Whether it answers a question for that kind.
    pub fn is(&self, record: RecordType) -> bool {
        match self {
            Data::Address(address) => {
                record == if address.is_ipv4() { RecordType::A } else { RecordType::Aaaa }
            }
            Data::Srv { .. } => record == RecordType::Srv,
            Data::Naptr(_) => record == RecordType::Naptr,
            Data::Alias(_) => false,
        }
    }
}

/// The question, recursion desired; `extended` says that a larger answer than 512 bytes may come (RFC 6891).
pub fn query(id: u16, name: &Name, record: RecordType, extended: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.0.len() + 27);
    for field in [id, 0x0100, 1, 0, 0, extended.into()] {
        out.extend(field.to_be_bytes());
    }
    out.extend(&name.0);
    out.extend(code(record).to_be_bytes());
    out.extend(CLASS_IN.to_be_bytes());
    if extended {
        out.push(0);
        out.extend(OPT.to_be_bytes());
        out.extend(UDP_PAYLOAD.to_be_bytes());
        out.extend([0; 6]);
    }
    out
}

/// Reads the answer to the question of that id.
pub fn read(bytes: &[u8], id: u16, name: &Name, record: RecordType) -> Result<Answer, Unusable> {
    let mut reader = Reader { bytes, at: 0 };
    let mut header = [0; 6];
    for field in &mut header {
        *field = reader.u16().ok_or(Unusable::NotOurs)?;
    }
    let [found, flags, questions, answers, authorities, _] = header;
    // A response, to a standard query.
    if found != id || flags & 0xf800 != 0x8000 {
        return Err(Unusable::NotOurs);
    }
    let truncated = flags & 0x0200 != 0;
    let response = flags & 0x000f;
    match questions {
        1 => {
            let asked = reader.name().ok_or(Unusable::Malformed)?;
            let kind = reader.u16().zip(reader.u16()).ok_or(Unusable::Malformed)?;
            if !asked.is(name) || kind != (code(record), CLASS_IN) {
                return Err(Unusable::NotOurs);
            }
        }
        // Who does not understand a question need not repeat it.
        0 if response != 0 => {}
        _ => return Err(Unusable::Malformed),
    }
    let mut answer = Answer { truncated, code: response, records: Vec::new(), negative_ttl: None };
    if truncated {
        return Ok(answer);
    }
    for _ in 0..answers.min(MAX_READ) {
        answer.records.extend(reader.record().ok_or(Unusable::Malformed)?.0);
    }
    if answers <= MAX_READ {
        for _ in 0..authorities.min(MAX_READ) {
            // What stands there beside it may be cut off, and is of no use.
            let Some((_, soa)) = reader.record() else { break };
            answer.negative_ttl = answer.negative_ttl.or(soa);
        }
    }
    Ok(answer)
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(length)?)?;
        self.at += length;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// A length in one byte, and so many (RFC 1035 §3.3).
    fn string(&mut self) -> Option<Vec<u8>> {
        let [length] = self.array()?;
        self.take(length.into()).map(<[u8]>::to_vec)
    }

    /// A name, in pieces perhaps (RFC 1035 §4.1.4). Each piece has to stand before the one that leads to it: it ends.
    fn name(&mut self) -> Option<Name> {
        let mut wire = Vec::new();
        let (mut piece, mut behind) = (self.at, None);
        loop {
            let [length] = self.array()?;
            match length >> 6 {
                0 => {
                    wire.push(length);
                    wire.extend(self.take(length.into())?);
                    if wire.len() > MAX_NAME {
                        return None;
                    }
                    if length == 0 {
                        break;
                    }
                }
                3 => {
                    let [low] = self.array()?;
                    behind.get_or_insert(self.at);
                    let place = usize::from(u16::from_be_bytes([length & 0x3f, low]));
                    if place >= piece {
                        return None;
                    }
                    (piece, self.at) = (place, place);
                }
                _ => return None,
            }
        }
        self.at = behind.unwrap_or(self.at);
        Some(Name(wire.into()))
    }

    /// A record, if its kind is one of ours, or else the time that a SOA record gives for what there is not.
    fn record(&mut self) -> Option<(Option<Record>, Option<u32>)> {
        let owner = self.name()?;
        let (kind, class, ttl) = (self.u16()?, self.u16()?, self.u32()?);
        // RFC 2181 §8: what is negative counts as zero.
        let ttl = if ttl > i32::MAX.unsigned_abs() { 0 } else { ttl };
        let length = usize::from(self.u16()?);
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len())?;
        if class != CLASS_IN {
            self.at = end;
            return Some((None, None));
        }
        let mut soa = None;
        let data = match kind {
            1 => Some(Data::Address(Ipv4Addr::from(self.array::<4>()?).into())),
            28 => Some(Data::Address(Ipv6Addr::from(self.array::<16>()?).into())),
            33 => {
                let (priority, weight, port) = (self.u16()?, self.u16()?, self.u16()?);
                Some(Data::Srv { priority, weight, port, target: self.name()? })
            }
            35 => Some(Data::Naptr(Naptr {
                order: self.u16()?,
                preference: self.u16()?,
                flags: self.string()?,
                services: self.string()?,
                regexp: self.string()?,
                replacement: self.name()?,
            })),
            CNAME => Some(Data::Alias(self.name()?)),
            SOA => {
                self.name()?;
                self.name()?;
                self.take(16)?;
                soa = Some(self.u32()?.min(ttl));
                None
            }
            _ => {
                self.at = end;
                None
            }
        };
        // A record that is longer or shorter than it says is none.
        (self.at == end).then_some((data.map(|data| Record { owner, ttl, data }), soa))
    }
}

#[cfg(test)]
mod tests;
