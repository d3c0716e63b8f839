//! Large files: split inside the file, given up on request, and failing alone.

use std::{thread, time::Duration};

use bytes::Bytes;
use pravah_core::{
    engine::{Control, Ending, Engine, Verdict},
    pipeline::Pipeline,
    plan::StepConfig,
    processors::Event,
};
use serde_json::json;

use crate::bench::Bench;

/// Text that is neither random nor repetitive, the same each time.
fn text(size_bytes: usize) -> Vec<u8> {
    (0_u64..).flat_map(|i| format!("{},{}\n", i, (i * i) >> 3).into_bytes()).take(size_bytes).collect()
}

/// What a pipeline makes of a file that lies in one buffer.
fn made(step: &str, params: serde_json::Value, content: &[u8]) -> Vec<u8> {
    let params = params.as_object().cloned().unwrap_or_default();
    let pipeline = Pipeline::new(&[StepConfig { name: step.to_owned(), params }]).expect("built");
    let mut output = Vec::new();
    let keep = &mut |event| {
        if let Event::Bytes(bytes) = event {
            output.extend_from_slice(&bytes);
        }
        Ok(())
    };
    pipeline.run_whole(Bytes::from_static(b"a"), Bytes::copy_from_slice(content), keep).expect("runs");
    output
}

#[test]
fn large_files_are_the_same_bytes_whatever_the_memory() {
    let content = text(13 << 20);
    let packed = made("compress", json!({"codec": "gzip", "level": 1}), &content);
    // With 64 MiB blocks are done one after the other, with more at once.
    for memory_bytes in [64 << 20, 1 << 30] {
        let mut bench = Bench::new(&[("a.csv", &content), ("b.csv", &content)]);
        bench.memory_bytes = memory_bytes;
        bench.steps = json!([{"name": "compress", "params": {"codec": "gzip", "level": 1}}]);
        bench.manifest();
        assert_eq!(bench.run_through().counts.done, 2);
        assert!(bench.output("a.csv.gz") == packed && bench.output("b.csv.gz") == packed, "{memory_bytes}");

        let mut bench = Bench::new(&[("a.csv.gz", &packed)]);
        bench.memory_bytes = memory_bytes;
        bench.steps = json!([{"name": "decompress"}]);
        bench.manifest();
        assert_eq!(bench.run_through().counts.done, 1);
        assert!(bench.output("a.csv") == content, "{memory_bytes}");
    }
}

#[test]
fn damaged_large_file_fails_alone_and_leaves_nothing() {
    let content = text(5 << 20);
    let good = made("compress", json!({"codec": "gzip", "level": 1}), &content);
    let mut bad = good.clone();
    let middle = bad.len() / 2;
    bad[middle] ^= 0x55;
    let mut bench = Bench::new(&[("bad.gz", &bad), ("good.gz", &good)]);
    bench.memory_bytes = 1 << 30;
    bench.steps = json!([{"name": "decompress"}]);
    bench.manifest();
    let counts = bench.run_through().counts;
    assert_eq!((counts.done, counts.failed), (1, 1));
    let account = bench.account();
    assert_eq!(
        (&account[0]["error"]["kind"], &account[0]["error"]["step"]),
        (&json!("corrupt_input"), &json!("decompress"))
    );
    assert!(bench.output("good") == content && !bench.sink().join("bad").exists());
    assert_eq!(bench.litter(), 0);
}

#[test]
fn drain_gives_a_large_file_up_at_a_block_border() {
    let content = text(24 << 20);
    let mut bench = Bench::new(&[("a", &content)]);
    bench.steps = json!([{"name": "compress", "params": {"codec": "gzip", "level": 1}}]);
    bench.plan_keys = json!({"read_rate": 4 << 20}); // six seconds, were it not given up
    bench.manifest();
    let (plan, engine) = (bench.plan(), Engine::new(Some(2), 1 << 30).expect("starts"));
    let control = Control::default();
    let mut records = Vec::new();
    let ending = thread::scope(|scope| {
        scope.spawn(|| {
            while control.moved() == 0 {
                thread::sleep(Duration::from_millis(1));
            }
            control.drain();
        });
        engine.run_task(&plan, &bench.task, &control, &mut |record| {
            records.push(record);
            Ok(Verdict::Committed)
        })
    });
    assert_eq!(ending.expect("runs"), Ending::Drained);
    assert!(records.iter().all(|record| record.counts.entries() == 0), "the file remains");
    assert!(!bench.sink().join("a.gz").exists());
    assert_eq!(bench.litter(), 0);
}

#[test]
fn small_files_of_large_windows_are_decoded_with_memory_of_their_own_at_the_first_try() {
    // A frame with a window of 128 MiB, then a raw block of one byte; written by hand after RFC 8878.
    let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 17 << 3, 0x09, 0x00, 0x00, b'x'];
    for (step, params) in [("decompress", json!({})), ("merge", json!({}))] {
        let mut bench = Bench::new(&[("a.zst", &frame), ("b.zst", &frame), ("c.zst", &frame)]);
        let layer = json!({"name": "decompress"});
        bench.steps = if step == "merge" { json!([layer, {"name": step, "params": params}]) } else { json!([layer]) };
        bench.manifest();
        assert_eq!(bench.run_through().counts.done, 3, "{step}");
        assert!(bench.account().iter().all(|file| file["attempts"] == 1), "{step}: {:?}", bench.account());
    }
}
