//! `cargo bench -p aldis-bench`: Criterion's figures for each piece of work, then one table with ratios.
//!
//! The table is measured by itself: all rows in turns, many short ones, and the fastest turn of each counts. What else the
//! machine does only adds, and it adds to floors and peers as to ours. `-- --table` prints the table alone.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)] // a bench target: it prints, and stops when wrong

use aldis_bench::{http, ours, peer, samples};
use criterion::{Criterion, Throughput};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// A row of the table: its name, and the row that its ratio is to.
struct Row<'a> {
    name: &'static str,
    floor: usize,
    work: Box<dyn Fn() + 'a>,
    fastest: Duration,
}

/// Turns of each row.
const TURNS: usize = 300;
/// How often the work is done in one turn.
const REPEATS: u32 = 200;

fn rows<'a>(
    sample: &'a samples::Sample,
    draft: &'a ours::Draft<'a>,
    theirs: &'a rsip::SipMessage,
) -> Vec<Row<'a>> {
    let row = |name, floor, work: Box<dyn Fn() + 'a>| Row { name, floor, work, fastest: Duration::MAX };
    let (sip, http) = (&sample.sip, &sample.http);
    vec![
        row(
            "memchr: scan for line ends",
            1,
            Box::new(move || {
                black_box(http::scan(black_box(sip)));
            }),
        ),
        row(
            "httparse: HTTP of the same size",
            1,
            Box::new(move || {
                black_box(http::parse(black_box(http)));
            }),
        ),
        row("aldis-sip: parse", 1, Box::new(move || drop(black_box(ours::parse(black_box(sip)))))),
        row("aldis-sip: parse + the seven", 1, Box::new(move || ours::parse_and_access(black_box(sip)))),
        row(
            "aldis-sip: parse + judge",
            1,
            Box::new(move || {
                black_box(ours::parse_and_judge(black_box(sip)));
            }),
        ),
        row("aldis-sip: serialize", 8, Box::new(move || drop(black_box(ours::serialize(black_box(draft)))))),
        row("rsip: parse", 1, Box::new(move || drop(black_box(peer::parse(black_box(sip)))))),
        row("rsip: parse + the seven", 1, Box::new(move || peer::parse_and_access(black_box(sip)))),
        row("rsip: serialize", 8, Box::new(move || drop(black_box(peer::serialize(black_box(theirs)))))),
    ]
}

/// The name of each row, with nanoseconds and the ratio to its floor.
fn measure_in_turns(sample: &samples::Sample) -> Vec<(&'static str, f64, f64)> {
    let message = ours::parse(&sample.sip);
    let (draft, theirs) = (ours::draft(&message), peer::parse(&sample.sip));
    let mut rows = rows(sample, &draft, &theirs);
    for _ in 0..TURNS {
        for row in &mut rows {
            let start = Instant::now();
            (0..REPEATS).for_each(|_| (row.work)());
            row.fastest = row.fastest.min(start.elapsed() / REPEATS);
        }
    }
    let time = |row: &Row<'_>| row.fastest.as_nanos() as f64;
    rows.iter()
        .map(|row| (row.name, time(row), time(row) / rows.get(row.floor).map_or(f64::NAN, time)))
        .collect()
}

fn measure(criterion: &mut Criterion, sample: &samples::Sample) {
    let mut group = criterion.benchmark_group(sample.name);
    group.throughput(Throughput::Bytes(sample.sip.len() as u64));
    let message = ours::parse(&sample.sip);
    let draft = ours::draft(&message);
    let theirs = peer::parse(&sample.sip);
    assert_eq!(ours::summary(&message), peer::summary(&theirs), "both read the same");
    assert_eq!(ours::serialize(&draft).len(), sample.sip.len(), "what is written is what was read");
    assert_eq!(http::parse(&sample.http), message.fields().count(), "HTTP has as many headers");
    assert!(ours::parse_and_judge(&sample.sip));

    group.bench_function("memchr", |b| b.iter(|| http::scan(black_box(&sample.sip))));
    group.bench_function("httparse", |b| b.iter(|| http::parse(black_box(&sample.http))));
    group.bench_function("parse", |b| b.iter(|| ours::parse(black_box(&sample.sip))));
    group.bench_function("parse_access", |b| b.iter(|| ours::parse_and_access(black_box(&sample.sip))));
    group.bench_function("parse_judge", |b| b.iter(|| ours::parse_and_judge(black_box(&sample.sip))));
    group.bench_function("serialize", |b| b.iter(|| ours::serialize(black_box(&draft))));
    group.bench_function("rsip_parse", |b| b.iter(|| peer::parse(black_box(&sample.sip))));
    group.bench_function("rsip_parse_access", |b| b.iter(|| peer::parse_and_access(black_box(&sample.sip))));
    group.bench_function("rsip_serialize", |b| b.iter(|| peer::serialize(black_box(&theirs))));
    group.finish();
}

fn table(samples: &[samples::Sample]) {
    print!("\n| ns (ratio to httparse; serializing: to rsip) |");
    for sample in samples {
        print!(" {}, {} bytes |", sample.name, sample.sip.len());
    }
    println!("\n| --- |{}", " ---: |".repeat(samples.len()));
    let columns: Vec<_> = samples.iter().map(measure_in_turns).collect();
    for at in 0..columns.first().map_or(0, Vec::len) {
        let cells: Vec<_> = columns.iter().filter_map(|column| column.get(at)).collect();
        print!("| {} |", cells.first().map_or("", |(name, _, _)| name));
        cells.iter().for_each(|(_, time, ratio)| print!(" {time:.0} ({ratio:.2}) |"));
        println!();
    }
}

fn main() {
    let samples = samples::all();
    if std::env::args().any(|argument| argument == "--table") {
        return table(&samples);
    }
    let mut criterion = Criterion::default()
        .without_plots()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(1500))
        .configure_from_args();
    for sample in &samples {
        measure(&mut criterion, sample);
    }
    criterion.final_summary();
    table(&samples);
}
