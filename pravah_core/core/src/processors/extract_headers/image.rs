//! Dimensions of images, and what their EXIF data tell.

use std::io::Cursor;

use exif::{Error, In, Reader, Tag};
use serde_json::{Value, json};

use super::document::{Document, named};

/// Bytes of EXIF data that are read: a JPEG has no more in one segment.
const EXIF_BYTES: usize = 64 << 10;

/// What is told, where it is there: of the camera, the exposure, the time and the place.
const TAGS: [Tag; 26] = [
    Tag::Make,
    Tag::Model,
    Tag::LensModel,
    Tag::Software,
    Tag::Orientation,
    Tag::DateTime,
    Tag::DateTimeOriginal,
    Tag::OffsetTimeOriginal,
    Tag::SubSecTimeOriginal,
    Tag::ExposureTime,
    Tag::FNumber,
    Tag::PhotographicSensitivity,
    Tag::FocalLength,
    Tag::Flash,
    Tag::WhiteBalance,
    Tag::ColorSpace,
    Tag::GPSLatitudeRef,
    Tag::GPSLatitude,
    Tag::GPSLongitudeRef,
    Tag::GPSLongitude,
    Tag::GPSAltitude,
    Tag::GPSDateStamp,
    Tag::ImageDescription,
    Tag::Artist,
    Tag::Copyright,
    Tag::ExifVersion,
];

/// Find dimensions and EXIF data in the first bytes of an image.
pub fn read(format: &'static str, sample: &[u8], is_whole: bool) -> Document {
    let size = imagesize::blob_size(sample).ok();
    let found = vec![
        ("width_px", json!(size.map(|size| size.width))),
        ("height_px", json!(size.map(|size| size.height))),
        ("exif", exif(sample)),
    ];
    Document { format, compression: None, encoding: None, found, exact: is_whole }
}

/// Name and value of each tag; null where there are no such data among these bytes.
fn exif(sample: &[u8]) -> Value {
    // Values are read when they are asked for, so a table that points at one place again and again costs nothing.
    let exif = match Reader::new().continue_on_error(true).read_from_container(&mut Cursor::new(sample)) {
        Ok(exif) => exif,
        // Many writers leave something out at the end, and the rest is good.
        Err(Error::PartialResult(part)) => part.into_inner().0,
        Err(_) => return Value::Null,
    };
    if exif.buf().len() > EXIF_BYTES {
        return Value::Null;
    }
    let fields = TAGS.iter().filter_map(|tag| exif.get_field(*tag, In::PRIMARY));
    let told = fields.map(|field| {
        let shown = field.display_value().with_unit(&exif).to_string();
        named(&field.tag.to_string(), shown.trim_matches('"'))
    });
    Value::from_iter(told)
}
