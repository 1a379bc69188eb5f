//! `cargo bench -p aldis-bench`: Criterion's figures, then one table with ratios. Floors and peers run beside ours, so that
//! the ratios hold on a busy machine too.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)] // a bench target: it prints, and stops when wrong

use aldis_bench::{http, ours, peer, samples};
use criterion::{Criterion, Throughput};
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Duration;

const ROWS: &[(&str, &str)] = &[
    ("memchr", "memchr: scan for line ends"),
    ("httparse", "httparse: HTTP of the same size"),
    ("parse", "aldis-sip: parse"),
    ("parse_access", "aldis-sip: parse + the seven"),
    ("parse_judge", "aldis-sip: parse + judge"),
    ("serialize", "aldis-sip: serialize"),
    ("rsip_parse", "rsip: parse"),
    ("rsip_parse_access", "rsip: parse + the seven"),
    ("rsip_serialize", "rsip: serialize"),
];

fn output() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("wire")
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

/// Criterion's estimate of a row, in nanoseconds: the slope where it has one, else the mean.
fn nanoseconds(sample: &str, row: &str) -> Option<f64> {
    let file = output().join(sample).join(row).join("new/estimates.json");
    let estimates: serde_json::Value = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
    let point = |name: &str| estimates.get(name)?.get("point_estimate")?.as_f64();
    point("slope").or_else(|| point("mean"))
}

fn table(samples: &[samples::Sample]) {
    print!("\n| ns (ratio to httparse; rsip's serializing) |");
    for sample in samples {
        print!(" {}, {} bytes |", sample.name, sample.sip.len());
    }
    println!("\n| --- |{}", " ---: |".repeat(samples.len()));
    for (row, name) in ROWS {
        let floor = if row.ends_with("serialize") { "rsip_serialize" } else { "httparse" };
        print!("| {name} |");
        for sample in samples {
            match nanoseconds(sample.name, row).zip(nanoseconds(sample.name, floor)) {
                Some((time, floor)) => print!(" {time:.0} ({:.2}) |", time / floor),
                None => print!(" - |"),
            }
        }
        println!();
    }
}

fn main() {
    let samples = samples::all();
    let mut criterion = Criterion::default()
        .output_directory(&output())
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
