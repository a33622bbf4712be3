//! Progress against a simple model, by arbitrary steps; the fuzzer takes the same steps for longer.

use proptest::prelude::*;

#[path = "checks/progress.rs"]
mod model;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn agrees_with_a_model_of_single_records(
        start in 0..1i64 << 40,
        steps in prop::collection::vec(any::<model::Step>(), 0..300),
    ) {
        model::agrees(start, steps);
    }
}
