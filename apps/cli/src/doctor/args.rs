//! The command line of `aldis doctor`.

use crate::args::Account;
use clap::Args;

/// `aldis doctor`.
#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub(crate) struct Doctor {
    /// The domain to examine; without it, that of the account
    #[arg(value_name = "DOMAIN")]
    pub domain: Option<String>,
    /// The account.
    #[command(flatten)]
    pub account: Account,
}

const HELP: &str = "\
Each step is ok, warn or fail. Nothing of SIP is sent before the server is trusted; with an account, OPTIONS and
REGISTER follow, under an instance of their own that is removed again.

The exit status says what a client of this account would meet: 0 all well (there may be warnings), 3 the server is not
trusted, 4 it refuses the credentials, 5 it cannot be reached, 6 it rejects the registration, 7 it does not answer.";
