//! Batches of messages whose confirms are awaited together.
//!
//! Owns the bound of a batch: by bytes, not by count alone. On a slow link too, its confirms must
//! arrive within `broker.confirm_timeout`.
//!
//! Not here: publishing and confirms (`publisher.rs`, `dead_queue.rs`).

/// The maximum size of the bodies in a batch, in bytes. A larger body is a batch of its own.
pub(super) const BYTES_MAX: usize = 1024 * 1024;

/// Splits `items` into batches of at most `count_max` items and [`BYTES_MAX`] bytes. No batch is
/// empty.
pub(super) fn batches<T>(
    items: &[T],
    count_max: usize,
    bytes: impl Fn(&T) -> usize,
) -> impl Iterator<Item = &[T]> {
    let mut rest = items;
    std::iter::from_fn(move || {
        let mut weight = 0_usize;
        let fits = rest.iter().take(count_max.max(1)).take_while(|item| {
            weight = weight.saturating_add(bytes(item));
            weight <= BYTES_MAX
        });
        let (batch, after) = rest.split_at(fits.count().max(1).min(rest.len()));
        rest = after;
        (!batch.is_empty()).then_some(batch)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_batch_is_bounded_by_count_and_by_bytes_and_a_large_body_goes_alone() {
        let half = BYTES_MAX / 2;
        for (sizes, count_max, cut) in [
            (vec![], 3, vec![]),
            (vec![1, 1, 1, 1], 3, vec![3, 1]),
            (vec![half, half, half], 9, vec![2, 1]),
            (vec![1, BYTES_MAX * 16, BYTES_MAX * 16, 1], 9, vec![1, 1, 1, 1]),
            (vec![1, 1], 0, vec![1, 1]),
        ] {
            let found: Vec<_> = batches(&sizes, count_max, |size| *size).map(<[_]>::len).collect();
            assert_eq!(found, cut, "{sizes:?}");
        }
    }

    proptest! {
        #[test]
        fn every_item_is_in_one_batch_in_its_order(
            sizes in prop::collection::vec(0..BYTES_MAX * 2, 0..50), count_max in 1..9_usize,
        ) {
            let cut: Vec<_> = batches(&sizes, count_max, |size| *size).collect();
            for batch in &cut {
                prop_assert!(batch.len() == 1 || batch.iter().sum::<usize>() <= BYTES_MAX);
                prop_assert!(batch.len() <= count_max);
            }
            prop_assert_eq!(cut.concat(), sizes);
        }
    }
}
