//! `aldis inspect`: how the wire layer reads a SIP message.

mod facts;
mod story;

use crate::args::Inspect;
use crate::failure::Exit;
use crate::output::Output;
use aldis_sip::{Frame, Framer, Judgement, judge_datagram};
use bytes::Bytes;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Largest file that is taken as one datagram, in bytes: far beyond any message, and small enough to be held.
const MAX_DATAGRAM_FILE: u64 = 256 << 20;
/// How much of a stream is read at once, in bytes.
const PIECE: usize = 64 << 10;

/// What is shown of a file.
enum Found<'a> {
    /// A judgement, and how many bytes stood behind the message in its datagram.
    Judged(&'a Judgement, usize),
    /// The stream ended inside a message, after this many bytes.
    CutShort(usize),
}

const CUT_SHORT: &str = "the stream ends inside a message";

/// Reads every file; the exit status says whether every one was a message.
///
/// # Errors
/// When standard output does not take what is written. A file that cannot be read is reported, the others are read all
/// the same, and the status is [`Exit::Usage`].
pub(crate) fn run(args: &Inspect, out: &mut Output) -> io::Result<Exit> {
    let (mut all_messages, mut all_read) = (true, true);
    for file in &args.files {
        let mut show = |found: Found<'_>, out: &mut Output| {
            all_messages &= matches!(found, Found::Judged(Judgement::Message(_), _));
            show(&file.to_string_lossy(), &found, out)
        };
        let read = if args.stream { stream(file, &mut show, out)? } else { datagram(file, &mut show, out)? };
        if let Err(error) = read {
            all_read = false;
            out.error(&unreadable(file, &error));
        }
    }
    Ok(match (all_read, all_messages) {
        (false, _) => Exit::Usage,
        (true, false) => Exit::Refused,
        (true, true) => Exit::Done,
    })
}

fn show(file: &str, found: &Found<'_>, out: &mut Output) -> io::Result<()> {
    if out.is_json() {
        return out.json(&facts::of(file, found));
    }
    out.text(&story::of(file, found))
}

fn unreadable(file: &Path, error: &io::Error) -> String {
    format!("{} cannot be read: {error}.", file.display())
}

fn open(file: &Path) -> io::Result<Box<dyn Read>> {
    if file.as_os_str() == "-" {
        return Ok(Box::new(io::stdin().lock()));
    }
    Ok(Box::new(File::open(file)?))
}

/// The outer error is of the output, the inner one of the file.
type Read2 = io::Result<io::Result<()>>;
type Show<'a> = dyn FnMut(Found<'_>, &mut Output) -> io::Result<()> + 'a;

fn datagram(file: &Path, show: &mut Show<'_>, out: &mut Output) -> Read2 {
    let mut bytes = Vec::new();
    let read = open(file).and_then(|input| input.take(MAX_DATAGRAM_FILE + 1).read_to_end(&mut bytes));
    if let Err(error) = read {
        return Ok(Err(error));
    }
    if bytes.len() as u64 > MAX_DATAGRAM_FILE {
        let text = format!("it is larger than {} MiB", MAX_DATAGRAM_FILE >> 20);
        return Ok(Err(io::Error::new(io::ErrorKind::FileTooLarge, text)));
    }
    let (judgement, remaining) = judge_datagram(Bytes::from(bytes));
    show(Found::Judged(&judgement, remaining), out)?;
    Ok(Ok(()))
}

fn stream(file: &Path, show: &mut Show<'_>, out: &mut Output) -> Read2 {
    let mut input = match open(file) {
        Ok(input) => input,
        Err(error) => return Ok(Err(error)),
    };
    let (mut framer, mut piece, mut taken) = (Framer::new(), vec![0; PIECE], 0usize);
    loop {
        let count = match input.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Ok(Err(error)),
        };
        taken += count;
        framer.push(piece.get(..count).unwrap_or_default());
        while let Some(frame) = framer.next() {
            if let Frame::Judged(judgement) = frame {
                show(Found::Judged(&judgement, 0), out)?;
                if matches!(judgement, Judgement::Close(_)) {
                    return Ok(Ok(()));
                }
            }
        }
    }
    if ends_inside_a_message(framer) {
        show(Found::CutShort(taken), out)?;
    }
    Ok(Ok(()))
}

/// Between messages a CR LF is a frame of its own; inside one it is only more of it.
fn ends_inside_a_message(mut framer: Framer) -> bool {
    framer.push(b"\r\n");
    !matches!(framer.next(), Some(Frame::LineEnd))
}
