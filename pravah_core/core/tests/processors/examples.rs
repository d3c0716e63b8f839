//! Each example of each descriptor gives what it says, in whatever pieces its input comes.

use pravah_core::{
    pipeline::Workers,
    processors::{Expected, descriptors},
};

use crate::run::{Batching, pipeline_of, run_named};

#[test]
fn test_examples_give_what_they_say() {
    for descriptor in descriptors() {
        assert!(!descriptor.examples.is_empty(), "{} has examples", descriptor.name);
        for example in descriptor.examples {
            let pipeline = pipeline_of(descriptor.name, example.params);
            let input = example.input.bytes().expect("well-formed hex");
            for batching in [Batching::Whole, Batching::OnePiece, Batching::Pieces(vec![1])] {
                let outcome = run_named(example.name, Workers::NONE, &pipeline, &input, &batching);
                match (&example.expected, outcome) {
                    (Expected::File { name, content, records }, Ok(outcome)) => {
                        let output_name = pipeline.output_name(example.name.as_bytes());
                        assert_eq!(output_name, name.as_bytes(), "{}", example.step);
                        let content = content.bytes().expect("well-formed hex");
                        assert_eq!(hex(&outcome.bytes), hex(&content), "{}", example.step);
                        assert_eq!(&outcome.records, records, "{}", example.step);
                    }
                    (Expected::Parts(parts), Ok(outcome)) => {
                        let ends = outcome.parts.iter().skip(1).copied().chain([outcome.bytes.len()]);
                        let found = outcome.parts.iter().zip(ends).map(|(start, end)| hex(&outcome.bytes[*start..end]));
                        let parts = parts.iter().map(|part| hex(&part.bytes().expect("well-formed hex")));
                        assert_eq!(found.collect::<Vec<_>>(), parts.collect::<Vec<_>>(), "{}", example.step);
                    }
                    (Expected::Error(kind), Err(failure)) => assert_eq!(failure.error.kind(), *kind),
                    (expected, outcome) => panic!("{}: {outcome:?}, {expected:?} was expected", example.step),
                }
            }
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
