//! Many accounts in one process cost what one costs, so many times. The full size is the program `accounts`.

#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::print_stdout)] // a test that cannot go on ends here

use aldis_bench::accounts::{Accounts, Place, options};
use aldis_registrar::Registrar;
use allocation_counter::measure;

/// Accounts of one step; there are two steps.
const STEP: usize = 100;
/// The most heap that an account with its connection may take, in bytes.
const MOST: i64 = 40 * 1024;

/// Counted is what this thread allocates and keeps, byte by byte: the registrar has threads of its own.
#[test]
fn the_second_hundred_accounts_take_as_much_memory_as_the_first() {
    let server = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let registrar = server.block_on(Registrar::start(options(2 * STEP))).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let place = Place::new(registrar.address(), registrar.root_pem().unwrap(), 3600);
    let mut accounts = Accounts::new(place);
    // The first few bring what all share.
    runtime.block_on(accounts.grow_to(10)).unwrap();
    let mut grow_by = |count: usize| {
        let size = accounts.count() + count;
        measure(|| runtime.block_on(accounts.grow_to(size)).unwrap()).bytes_current
    };
    let (first, second) = (grow_by(STEP - 10) * 100 / 90, grow_by(STEP));
    let each = second / STEP as i64;
    println!("{each} bytes for an account with its connection");
    assert!(each > 1024 && each < MOST, "{each} bytes for an account");
    // Tables double now and then; a tenth is more than any of them.
    assert!((second - first).abs() * 10 < first, "{first} bytes, then {second}");
    assert_eq!(accounts.told().all_well(), Ok(()));
    runtime.block_on(accounts.end());
}
