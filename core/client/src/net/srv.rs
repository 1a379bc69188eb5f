//! The order in which the servers of a service are tried (RFC 2782, "Priority" and "Weight").

use super::order::in_order;
use aldis_sip::Domain;

/// One usable SRV record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Srv {
    /// Lower is tried first.
    pub priority: u16,
    /// The share of the clients that should come here first, among records of the same priority.
    pub weight: u16,
    /// The port of the service on the target.
    pub port: u16,
    /// The host.
    pub target: Domain,
}

/// Orders `records` as RFC 2782 asks: the lowest priority first, and within one priority at random by weight.
///
/// `draw(sum)` answers with a number from 0 to `sum`, both included, each as likely; it is called once for each record
/// that has a competitor of its own priority.
pub fn order(records: Vec<Srv>, draw: &mut dyn FnMut(u32) -> u32) -> Vec<Srv> {
    // Weight 0 comes first within its priority: it is chosen only if the number drawn is 0. The sort is stable.
    let mut records = in_order(records, |record| (record.priority, record.weight != 0));
    let mut ordered = Vec::with_capacity(records.len());
    while let Some(first) = records.first() {
        let priority = first.priority;
        let rivals = records.iter().take_while(|record| record.priority == priority).count();
        let position = if rivals == 1 { 0 } else { choose(records.get(..rivals).unwrap_or_default(), draw) };
        ordered.push(records.remove(position));
    }
    ordered
}

/// The position of the first record whose running sum of weights reaches the number drawn.
fn choose(rivals: &[Srv], draw: &mut dyn FnMut(u32) -> u32) -> usize {
    let sum = rivals.iter().fold(0_u32, |sum, record| sum.saturating_add(record.weight.into()));
    let drawn = draw(sum).min(sum);
    let mut running = 0_u32;
    rivals
        .iter()
        .position(|record| {
            running = running.saturating_add(record.weight.into());
            running >= drawn
        })
        .unwrap_or(0)
}

/// Draws from the system's randomness, for [`order`]. Where the system has none, the answer is 0: an unevenly shared
/// load, and no harm to the client.
pub fn system_draw(sum: u32) -> u32 {
    let random = getrandom::u64().unwrap_or(0);
    // 64 random bits against a sum below 2^32: the bias of the remainder is under 2^-32.
    u32::try_from(random % (u64::from(sum) + 1)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(priority: u16, weight: u16, target: &str) -> Srv {
        Srv { priority, weight, port: 5061, target: Domain::new(target).unwrap() }
    }

    fn names(records: &[Srv]) -> Vec<&str> {
        records.iter().map(|record| record.target.as_str()).collect()
    }

    /// DNS-06.
    #[test]
    fn the_lowest_priority_comes_first_whatever_the_weights() {
        let records = vec![record(20, 60000, "c.test"), record(10, 0, "b.test"), record(0, 1, "a.test")];
        let ordered = order(records, &mut |_| panic!("nothing to draw: every priority has one record"));
        assert_eq!(names(&ordered), ["a.test", "b.test", "c.test"]);
    }

    /// DNS-06: running sums 1, 4 and 10 for weights 1, 3 and 6.
    #[test]
    fn the_number_drawn_selects_by_running_sum() {
        for (drawn, first) in [(0, "a"), (1, "a"), (2, "b"), (4, "b"), (5, "c"), (10, "c")] {
            let records = vec![record(0, 1, "a"), record(0, 3, "b"), record(0, 6, "c")];
            let mut draws = vec![drawn];
            let ordered = order(records, &mut |sum| {
                if let Some(drawn) = draws.pop() {
                    assert_eq!(sum, 10);
                    drawn
                } else {
                    0
                }
            });
            assert_eq!(names(&ordered)[0], first, "{drawn}");
            assert_eq!(ordered.len(), 3);
        }
    }

    /// DNS-06: weight 0 stands first in the list, so only the number 0 selects it.
    #[test]
    fn weight_zero_is_chosen_only_by_zero() {
        for (drawn, expected) in [(0, ["zero", "one"]), (1, ["one", "zero"])] {
            let records = vec![record(5, 1, "one"), record(5, 0, "zero")];
            assert_eq!(names(&order(records, &mut |_| drawn)), expected);
        }
    }

    #[test]
    fn all_weights_zero_keep_every_record() {
        let records = vec![record(0, 0, "a"), record(0, 0, "b"), record(0, 0, "c")];
        let ordered = order(records, &mut |sum| {
            assert_eq!(sum, 0);
            0
        });
        assert_eq!(names(&ordered), ["a", "b", "c"]);
    }

    /// DNS-06: 9 to 1 over many draws, within three standard deviations.
    #[test]
    fn servers_are_chosen_in_proportion_to_their_weight() {
        let mut state = 1_u64;
        let mut first = 0_u32;
        for _ in 0..10_000 {
            let records = vec![record(0, 90, "big"), record(0, 10, "small")];
            let ordered = order(records, &mut |sum| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                u32::try_from((state >> 33) % (u64::from(sum) + 1)).unwrap()
            });
            first += u32::from(names(&ordered)[0] == "big");
        }
        // "big" is first in the list and takes 0..=90 of 0..=100.
        let expected = 10_000.0 * 91.0 / 101.0;
        assert!((f64::from(first) - expected).abs() < 90.0, "{first}");
    }

    #[test]
    fn the_largest_weights_do_not_overflow() {
        let records = (0..100).map(|_| record(0, u16::MAX, "a")).collect();
        assert_eq!(order(records, &mut |sum| sum).len(), 100);
    }

    #[test]
    fn the_system_draws_within_bounds() {
        assert_eq!(system_draw(0), 0);
        assert!((0..1000).all(|_| system_draw(3) <= 3));
        assert!((0..1000).any(|_| system_draw(3) == 3));
        assert!((0..1000).any(|_| system_draw(u32::MAX) > 1000));
    }
}
