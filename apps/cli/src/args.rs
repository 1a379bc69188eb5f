//! The command line: names and options as the contract has them.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;

const ABOUT: &str = "SIP over verified TLS from a terminal: register, send and receive messages";

const AFTER_HELP: &str = "\
Configuration file (TOML), keys named as the options, paths counted from its folder:
  use = \"home\"                            the account when --use names none
  [accounts.home]
  account = \"sip:alice@example.test\"
  password-file = \"password\"
  add-roots = [\"our-ca.pem\"]
It is aldis/config.toml in the platform's folder for configuration (Linux: $XDG_CONFIG_HOME or ~/.config).

Exit status:
  0  done
  1  refused: a judgement of inspect or trust
  2  wrong usage, or input that cannot be read; nothing was sent
  3  the server is not trusted; nothing was sent to it
  4  the server refused the credentials
  5  the server cannot be reached
  6  the server rejected the request
  7  timed out: the outcome is not known
  8  storage failed
  70 a bug in aldis";

/// The whole command line.
#[derive(Debug, Parser)]
#[command(name = "aldis", version, about = ABOUT, after_long_help = AFTER_HELP, subcommand_required = true,
    arg_required_else_help = true, propagate_version = false)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Shows the whole story with nothing installed: a server of its own, two users, an impostor
    Demo(Demo),
    /// Registers and stays, showing events, until interrupted
    Register(Register),
    /// Sends one message and waits for what becomes of it
    Send(Send),
    /// Registers and prints incoming messages
    Listen(Listen),
    /// An interactive conversation
    Chat(Chat),
    /// Connects step by step and explains what it meets
    Doctor(Box<crate::doctor::args::Doctor>),
    /// Judges and shows certificates
    Trust(Box<crate::trust::args::Trust>),
    /// Shows how the wire layer reads SIP messages
    Inspect(Inspect),
    /// Prints a completion script for a shell
    Completions(Completions),
}

impl Command {
    /// Whether results are to be JSON lines.
    pub fn wants_json(&self) -> bool {
        match self {
            Command::Demo(args) => args.json,
            Command::Register(args) => args.account.json,
            Command::Send(args) => args.account.json,
            Command::Listen(args) => args.account.json,
            Command::Inspect(args) => args.json,
            Command::Trust(args) => args.wants_json(),
            Command::Doctor(args) => args.account.json,
            Command::Chat(args) => args.account.json,
            Command::Completions(_) => false,
        }
    }

    /// How often `-v` was given.
    pub fn verbosity(&self) -> u8 {
        match self {
            Command::Demo(args) => args.verbose,
            Command::Register(args) => args.account.verbose,
            Command::Send(args) => args.account.verbose,
            Command::Listen(args) => args.account.verbose,
            Command::Chat(args) => args.account.verbose,
            Command::Doctor(args) => args.account.verbose,
            _ => 0,
        }
    }
}

/// `aldis demo`.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Print the events as JSON lines
    #[arg(long)]
    pub json: bool,
    /// Say more on standard error; twice for even more
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// What can be subscribed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Package {
    /// The messages that wait in the account's mailbox (RFC 3842).
    MessageSummary,
    /// What the registrar does with the account's registrations (RFC 3680).
    Reg,
}

impl From<Package> for aldis::Package {
    fn from(package: Package) -> Self {
        match package {
            Package::MessageSummary => aldis::Package::MessageSummary,
            Package::Reg => aldis::Package::Registration,
        }
    }
}

/// `aldis register`.
#[derive(Debug, Args)]
pub(crate) struct Register {
    /// End after the first outcome, unregistering
    #[arg(long)]
    pub once: bool,
    /// Be told what waits in the mailbox (message-summary), or what the registrar does with the registrations (reg);
    /// repeatable
    #[arg(long, value_enum, value_name = "PACKAGE")]
    pub subscribe: Vec<Package>,
    /// The account.
    #[command(flatten)]
    pub account: Account,
}

/// `aldis send`.
#[derive(Debug, Args)]
pub(crate) struct Send {
    /// An address (sip:bob@example.test), or a bare name of the account's own domain (bob)
    #[arg(value_name = "TO")]
    pub to: String,
    /// The text; without it, and without --file, standard input is read
    #[arg(value_name = "TEXT", conflicts_with = "file")]
    pub text: Option<String>,
    /// Send what this file holds
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// The type of what is sent
    #[arg(long, value_name = "TYPE", default_value = "text/plain;charset=utf-8")]
    pub content_type: String,
    /// Be done only when the message is delivered
    #[arg(long)]
    pub request_receipts: bool,
    /// Keep the message for the next command that registers if it cannot be sent now
    #[arg(long)]
    pub queue: bool,
    /// The account.
    #[command(flatten)]
    pub account: Account,
}

/// `aldis listen`.
#[derive(Debug, Args)]
pub(crate) struct Listen {
    /// End after this many messages
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// Answer each message with its own text
    #[arg(long)]
    pub echo: bool,
    /// Be told what waits in the mailbox (message-summary), or what the registrar does with the registrations (reg);
    /// repeatable
    #[arg(long, value_enum, value_name = "PACKAGE")]
    pub subscribe: Vec<Package>,
    /// The account.
    #[command(flatten)]
    pub account: Account,
}

/// `aldis chat`.
#[derive(Debug, Args)]
#[command(
    after_help = "Lines that begin with / are commands; /help shows them. Standard input need not be a terminal: \
    then each of its lines is a message."
)]
pub(crate) struct Chat {
    /// With whom: an address, or a name of your own domain
    pub to: String,
    /// Do not ask for receipts: messages then go as plain text, which every device reads
    #[arg(long)]
    pub no_receipts: bool,
    /// The account.
    #[command(flatten)]
    pub account: Account,
}

/// `aldis inspect`.
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// A stream of messages in each file, not one message as a datagram
    #[arg(long)]
    pub stream: bool,
    /// One JSON object for each message
    #[arg(long)]
    pub json: bool,
    /// The files; - is standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// `aldis completions`.
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// Who somebody is, where the server is, and what it must prove: the account options.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Account")]
pub(crate) struct Account {
    /// Address of record; its domain is what the server must prove to be
    #[arg(long, value_name = "sip:NAME@DOMAIN")]
    pub account: Option<String>,
    /// Configuration file; without it, the platform's own folder is looked at
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The account of that name in the configuration file
    #[arg(long = "use", value_name = "NAME")]
    pub use_account: Option<String>,
    /// Name shown to the receiver
    #[arg(long, value_name = "TEXT")]
    pub display_name: Option<String>,
    /// Name for authentication, where it is not that of the address
    #[arg(long, value_name = "NAME")]
    pub auth_user: Option<String>,
    /// File that holds the password on one line; or set ALDIS_PASSWORD, or be asked
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// Register with this instance id
    #[arg(long, value_name = "UUID")]
    pub instance: Option<String>,
    /// How long to be registered for
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    pub expires: Option<u32>,
    /// How many connections to be registered over, up to 4; one for each proxy by default
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=4))]
    pub flows: Option<u8>,
    /// Largest request that is sent
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_message: Option<u32>,
    /// Largest body that is sent; 1023 for Asterisk, which loses what is larger
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_body: Option<u32>,
    /// Tell senders who ask for it when their message was shown here
    #[arg(long)]
    pub display_receipts: bool,
    /// Where outbox and inbox are kept; none keeps them in memory
    #[arg(long, value_name = "FILE|none")]
    pub store: Option<PathBuf>,

    /// Outbound proxy that you trust: its host becomes what the server must prove to be; repeatable, a connection to each
    #[arg(long, value_name = "HOST[:PORT]", help_heading = "Where to connect")]
    pub proxy: Vec<String>,
    /// Where to connect instead of asking DNS, never whom to trust; repeatable, tried in order
    #[arg(long, value_name = "HOST:PORT", help_heading = "Where to connect")]
    pub address: Vec<String>,
    /// DNS server to ask instead of the system's
    #[arg(long, value_name = "IP:PORT", help_heading = "Where to connect")]
    pub resolver: Option<SocketAddr>,

    /// An administrator's policy file: whom each domain trusts, instead of all options of this kind
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = [
            "server_name", "roots", "add_roots", "system_roots", "crl", "revocation", "pin", "level", "allow_wildcard",
        ],
        help_heading = "Whom to trust"
    )]
    pub policy: Option<PathBuf>,
    /// A further name that the server of this domain may present; repeatable
    #[arg(long, value_name = "NAME", help_heading = "Whom to trust")]
    pub server_name: Vec<String>,
    /// PEM file of the only roots that are trusted
    #[arg(long, value_name = "FILE", conflicts_with_all = ["add_roots", "system_roots"], help_heading = "Whom to trust")]
    pub roots: Option<PathBuf>,
    /// PEM file of roots that are trusted besides the bundled ones; repeatable
    #[arg(long, value_name = "FILE", help_heading = "Whom to trust")]
    pub add_roots: Vec<PathBuf>,
    /// Trust the system's roots besides the bundled ones
    #[arg(long, help_heading = "Whom to trust")]
    pub system_roots: bool,
    /// Revocation lists; repeatable
    #[arg(long, value_name = "FILE", help_heading = "Whom to trust")]
    pub crl: Vec<PathBuf>,
    /// How much must be proven about revocation
    #[arg(long, value_name = "MODE", help_heading = "Whom to trust")]
    pub revocation: Option<Revocation>,
    /// Key that must stand on the verified path; repeatable, any of them
    #[arg(long, value_name = "sha256/BASE64", help_heading = "Whom to trust")]
    pub pin: Vec<String>,
    /// How strictly certificates are judged
    #[arg(long, value_name = "LEVEL", help_heading = "Whom to trust")]
    pub level: Option<Level>,
    /// Let a wildcard in the server's certificate match, against RFC 5922
    #[arg(long, help_heading = "Whom to trust")]
    pub allow_wildcard: bool,
    /// Lowest version of TLS
    #[arg(long, value_name = "VERSION", help_heading = "Whom to trust")]
    pub min_tls: Option<MinTls>,
    /// Connect only with a post-quantum key exchange
    #[arg(long, help_heading = "Whom to trust")]
    pub require_pq: bool,
    /// Certificate for mutual TLS, with --client-key
    #[arg(long, value_name = "FILE", requires = "client_key", help_heading = "Whom to trust")]
    pub client_cert: Option<PathBuf>,
    /// Its key
    #[arg(long, value_name = "FILE", requires = "client_cert", help_heading = "Whom to trust")]
    pub client_key: Option<PathBuf>,
    /// Certificate and key for mutual TLS in one file
    #[arg(long, value_name = "FILE", conflicts_with = "client_cert", help_heading = "Whom to trust")]
    pub pkcs12: Option<PathBuf>,

    /// Print events as JSON lines
    #[arg(long, help_heading = "Output")]
    pub json: bool,
    /// Write a redacted trace of the SIP messages
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub trace: Option<PathBuf>,
    /// Keep message bodies in the trace
    #[arg(long, requires = "trace", help_heading = "Output")]
    pub trace_bodies: bool,
    /// Say more on standard error; twice for even more
    #[arg(short, long, action = clap::ArgAction::Count, help_heading = "Output")]
    pub verbose: u8,
    /// How long a one-shot command may take [default: 32]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=86_400), help_heading = "Output")]
    pub timeout: Option<u32>,
}

/// How much must be proven about revocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Revocation {
    /// Every certificate of the path must be proven to be in force
    Require,
    /// What is known counts, what is not is reported
    Prefer,
    /// Nothing is looked for
    Off,
}

/// How strictly certificates are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Level {
    /// The rules that change what is trusted
    Default,
    /// Also the form that the standards demand
    Strict,
}

/// Lowest version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum MinTls {
    /// TLS 1.2
    #[value(name = "1.2")]
    Tls12,
    /// TLS 1.3
    #[value(name = "1.3")]
    Tls13,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    fn parse(line: &str) -> Result<Command, clap::Error> {
        Cli::try_parse_from(std::iter::once("aldis").chain(line.split_whitespace())).map(|cli| cli.command)
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_and_option_of_the_contract_is_there() {
        for line in [
            "demo",
            "demo --json",
            "register",
            "register --once",
            "send bob hello",
            "send bob --file x --content-type text/plain --request-receipts --queue",
            "listen --count 3 --echo",
            "chat bob",
            "doctor example.test --json",
            "trust check --roots x --chain y --host z",
            "trust batch",
            "trust show x",
            "inspect --stream --json a b -",
            "completions bash",
            "register --account sip:a@b.test --display-name A --max-message 1300 --auth-user a --password-file p \
             --proxy h:5061 --proxy i --address h:1 --address [::1]:2 --resolver 127.0.0.1:53 --server-name n --server-name m \
             --roots r --crl c --crl d --revocation require --pin sha256/x --client-cert c --client-key k \
             --level strict --allow-wildcard --min-tls 1.3 --require-pq --expires 60 --instance u --flows 2 \
             --store none --json --trace t --trace-bodies -v --timeout 5 --config f --use n",
            "register --add-roots a --add-roots b --system-roots --pkcs12 f",
            "register --subscribe message-summary --subscribe reg",
            "listen --subscribe message-summary",
        ] {
            parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
    }

    #[test]
    fn options_that_cannot_be_meant_are_usage_errors() {
        for line in [
            "send",
            "send bob text --file x",
            "inspect",
            "listen --count 0",
            "listen --count x",
            "register --roots a --add-roots b",
            "register --roots a --system-roots",
            "register --client-cert a",
            "register --trace-bodies",
            "register --resolver dns.example",
            "register --revocation maybe",
            "register --level lax",
            "register --min-tls 1.1",
            "register --password secret",
            "register --expires 0",
            "listen --subscribe presence",
            "register --timeout 0",
            "completions nosuchshell",
            "frobnicate",
        ] {
            let error = parse(line).expect_err(line);
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn help_is_no_error() {
        assert_eq!(parse("help").unwrap_err().kind(), ErrorKind::DisplayHelp);
        assert_eq!(parse("send --help").unwrap_err().exit_code(), 0);
    }
}
