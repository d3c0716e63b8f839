//! Templates: what each field stands for, and that no name leads out of the sink.

use pravah_core::{
    naming::{Class, Named, Naming, Template, class},
    plan::Plan,
};
use proptest::prelude::*;
use serde_json::json;

use crate::job::{plan, with_capture};

fn name_of(plan: &Plan, directory: &str, name: &[u8], naming: Naming) -> Result<Vec<u8>, String> {
    let named = Named { modified_ns: 1_767_225_600_000_000_000, naming, ..Named::plain(0, directory.as_bytes(), name) };
    let named = named.read(Some([0xab; 32]));
    let output = plan.output_name(&plan.pipeline().expect("builds"), &named);
    output.map(|(directory, name)| pravah_core::entry::join(&directory, &name)).map_err(|error| error.kind().to_owned())
}

#[test]
fn output_name_of_each_field_is_what_the_guide_says() {
    let zstd = json!([{"name": "compress"}]);
    let numbered = Naming { keeps_extension: false, ordinal: Some(42) };
    for (template, expected) in [
        ("{path}", "d/e/a.csv.zst"),
        ("{dir}/{stem}.parquet", "d/e/a.parquet"),
        ("{dir}/{stem}{ext}", "d/e/a.csv.zst"),
        ("{name}", "a.csv.zst"),
        ("{root}/{path}", "in/d/e/a.csv.zst"),
        ("{hash:8}{ext}", "abababab.csv.zst"),
        ("{index:06}-{name}", "000042-a.csv.zst"),
        ("{index}", "42"),
        ("{mtime:%Y/%m}/{name}", "2026/01/a.csv.zst"),
        ("{mtime}", "2026-01-01"),
        ("{{{stem}}}", "{a}"),
    ] {
        let plan = plan(Some(template), &zstd, json!({}));
        assert_eq!(name_of(&plan, "d/e", b"a.csv", numbered), Ok(expected.as_bytes().to_vec()), "{template}");
    }
}

#[test]
fn output_name_of_an_entry_without_directory_or_extension_has_no_empty_parts() {
    let copy = json!([{"name": "copy"}]);
    for (template, expected) in [("{dir}/{name}", "README"), ("{ext}/{name}", "README"), ("{stem}{ext}", "README")] {
        let plan = plan(Some(template), &copy, json!({}));
        assert_eq!(name_of(&plan, "", b"README", Naming::default()), Ok(expected.as_bytes().to_vec()), "{template}");
    }
    let empty = plan(Some("{dir}/{ext}"), &copy, json!({}));
    assert_eq!(name_of(&empty, "d", b"README", Naming::default()), Err("invalid_output_name".into()));
}

#[test]
fn output_name_with_captured_names_takes_them_from_the_path() {
    let plan = with_capture("{host}/{date}.csv", "{date}/{host}.csv");
    assert_eq!(name_of(&plan, "web1", b"2026.csv", Naming::default()), Ok(b"2026/web1.csv".to_vec()));
    assert_eq!(name_of(&plan, "web1", b"\xff.csv", Naming::default()), Ok(b"\xff/web1.csv".to_vec()));
    assert_eq!(name_of(&plan, "", b"2026.csv", Naming::default()), Err("capture_mismatch".into()));
    let dots = with_capture("{a}x", "{a}/y");
    assert_eq!(name_of(&dots, "", b"..x", Naming::default()), Err("invalid_output_name".into()));
}

#[test]
fn parse_of_a_template_that_leads_out_of_the_sink_or_names_no_file_is_refused() {
    for template in [
        "",
        "/a/{name}",
        "{dir}/",
        "../{name}",
        "a/./{name}",
        "a//{name}",
        "{name",
        "name}",
        "{part:3}",
        "{part:06}",
        "{hash:0}",
        "{hash:65}",
        "{index:6}",
        "{mtime:%Q}",
        "{mtime:%#z}",
        "{name:3}",
        "{stem}.{ext}",
        "{Name}",
        "a\0b",
    ] {
        assert_eq!(Template::parse(template).expect_err(template).kind(), "invalid_template", "{template}");
    }
}

#[test]
fn class_of_a_template_tells_what_it_is_compared_with() {
    let copy = json!([{"name": "copy"}]);
    for (template, expected) in [
        (None, Class::Directory),
        (Some("{dir}/{stem}.parquet"), Class::Directory),
        (Some("all/{root}/{dir}/{mtime:%Y}-{name}"), Class::Directory),
        (Some("{path}.bak"), Class::Directory),
        (Some("{dir}/x/{name}"), Class::Job),
        (Some("{dir}/{mtime:%Y/%m}"), Class::Job),
        (Some("{name}"), Class::Job),
        (Some("x{path}"), Class::Job),
        (Some("{index}"), Class::Job),
        (Some("{dir}/{hash}"), Class::RunTime),
    ] {
        assert_eq!(class(&plan(template, &copy, json!({}))), expected, "{template:?}");
    }
}

fn part() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z./]{0,4}",
        Just("{path}".to_owned()),
        Just("{dir}".to_owned()),
        Just("{name}".to_owned()),
        Just("{stem}".to_owned()),
        Just("{ext}".to_owned()),
        Just("{root}".to_owned()),
        Just("{hash:2}".to_owned()),
        Just("{mtime:%Y/%m}".to_owned()),
        Just("{index}".to_owned()),
    ]
}

proptest! {
    #[test]
    fn output_name_never_leads_out_of_the_sink(
        parts in proptest::collection::vec(part(), 1..6),
        directory in "[a-z.]{1,3}(/[a-z.]{1,3}){0,2}",
        name in proptest::collection::vec(any::<u8>().prop_filter("is in names", |byte| !b"/\0".contains(byte)), 1..6),
        keeps_extension in any::<bool>(),
    ) {
        let Ok(_) = Template::parse(&parts.concat()) else { return Ok(()) };
        let plan = plan(Some(&parts.concat()), &json!([{"name": "decompress"}]), json!({}));
        let naming = Naming { keeps_extension, ordinal: Some(7) };
        if let Ok(path) = name_of(&plan, &directory, &name, naming) {
            prop_assert!(!path.is_empty() && !path.contains(&0));
            for component in path.split(|byte| *byte == b'/') {
                prop_assert!(!component.is_empty() && component != b"." && component != b"..");
            }
        }
    }
}
