//! The command line of `aldis trust`.

use crate::args::{Level, Revocation};
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// `aldis trust`.
#[derive(Debug, Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Trust {
    /// What to do.
    #[command(subcommand)]
    pub what: What,
}

/// The commands of `aldis trust`.
#[derive(Debug, Subcommand)]
pub(crate) enum What {
    /// Judges whether a chain of certificates proves a name; asks nobody
    Check(Check),
    /// Judges many: one JSON object a line from standard input, one verdict a line in the same order
    #[command(after_long_help = BATCH_HELP)]
    Batch(Batch),
    /// Shows certificates and revocation lists as a person reads them; judges nothing
    Show(Show),
    /// Lists every code that a judgement can give, with what it means
    Codes(Codes),
}

const BATCH_HELP: &str = "\
Each line is an object:
  id             anything; it comes back with the verdict
  roots, chain   certificates as PEM texts; the chain with the server's first
  host           a DNS name or an IP address
  time           RFC 3339 or seconds since 1970; without it, now
  crls           revocation lists as PEM texts
  ocsp           the stapled OCSP response (DER in base64)
  profile        sip, web
  level          default, strict
  revocation     require, prefer, off
  max_depth, pins, server_names, allow_wildcard
A line that cannot be read gives {\"id\", \"error\"}, and the next one is read.";

/// `aldis trust check`.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The only roots that are trusted, PEM or DER; repeatable [default: the bundled public roots]
    #[arg(long, value_name = "FILE")]
    pub roots: Vec<PathBuf>,
    /// The chain, PEM or DER: the server's certificate first, the others in any order; repeatable
    #[arg(long, value_name = "FILE", required = true)]
    pub chain: Vec<PathBuf>,
    /// What the server must prove to be: a DNS name or an IP address, without a port
    #[arg(long, value_name = "NAME")]
    pub host: String,
    /// The time to judge for [default: now]
    #[arg(long, value_name = "RFC3339", value_parser = moment)]
    pub time: Option<i64>,
    /// Revocation lists, PEM or DER; repeatable
    #[arg(long, value_name = "FILE")]
    pub crl: Vec<PathBuf>,
    /// The OCSP response that the server stapled to its certificate
    #[arg(long, value_name = "DER")]
    pub ocsp: Option<PathBuf>,
    /// By which rule names match
    #[arg(long, value_name = "PROFILE", default_value = "sip")]
    pub profile: Profile,
    /// How strictly certificates are judged
    #[arg(long, value_name = "LEVEL", default_value = "default")]
    pub level: Level,
    /// How much must be proven about revocation
    #[arg(long, value_name = "MODE", default_value = "prefer")]
    pub revocation: Revocation,
    /// Most intermediates that are not self-issued
    #[arg(long, value_name = "N")]
    pub max_depth: Option<usize>,
    /// Key that must stand on the verified path; repeatable, any of them
    #[arg(long, value_name = "sha256/BASE64")]
    pub pin: Vec<String>,
    /// A further name that the server may present; repeatable
    #[arg(long, value_name = "NAME")]
    pub server_name: Vec<String>,
    /// Let a wildcard match, against RFC 5922
    #[arg(long)]
    pub allow_wildcard: bool,
    /// Print the verdict as a JSON object
    #[arg(long)]
    pub json: bool,
}

/// `aldis trust batch`.
#[derive(Debug, Args)]
pub(crate) struct Batch {}

/// `aldis trust show`.
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The files, PEM or DER; - is standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The time from which the rest of a validity is counted [default: now]
    #[arg(long, value_name = "RFC3339", value_parser = moment)]
    pub time: Option<i64>,
    /// One JSON object for each certificate and list
    #[arg(long)]
    pub json: bool,
}

/// `aldis trust codes`.
#[derive(Debug, Args)]
pub(crate) struct Codes {
    /// One JSON object for each code
    #[arg(long)]
    pub json: bool,
}

/// By which rule names match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Profile {
    /// RFC 5922: SIP URIs, then DNS names, no wildcard
    Sip,
    /// RFC 9525, for web servers: DNS names and wildcards
    Web,
}

impl Trust {
    /// Whether results are to be JSON.
    pub fn wants_json(&self) -> bool {
        match &self.what {
            What::Check(args) => args.json,
            What::Show(args) => args.json,
            What::Codes(args) => args.json,
            What::Batch(_) => true,
        }
    }
}

/// Seconds since 1970.
///
/// # Errors
/// What is wrong, with an example.
pub(crate) fn moment(text: &str) -> Result<i64, String> {
    OffsetDateTime::parse(text, &Rfc3339)
        .map(OffsetDateTime::unix_timestamp)
        .map_err(|error| format!("{error}; write it like 2026-11-21T12:00:00Z"))
}
