# ruff: noqa: INP001
"""Make the samples beside it.

Needs openpyxl, fastavro, pillow, piexif and pyarrow, which nothing else here does: so the samples
are committed, and this says how they came about.
"""

import datetime as dt
import mailbox
from decimal import Decimal
from email.message import EmailMessage
from pathlib import Path

import fastavro
import openpyxl
import piexif
import pyarrow as pa
from PIL import Image

HERE = Path(__file__).parent


def workbook() -> None:
    """Make two sheets with a table each, and an empty one."""
    book = openpyxl.Workbook()
    people = book.active
    people.title = "People"
    people.append(["id", "name", "born", "seen", "share", "ok"])
    born, seen = dt.date(1990, 2, 28), dt.datetime.fromisoformat("2026-01-31T23:59:00")
    people.append([1, "Asha & Co", born, seen, 0.5, True])
    people.append([2, "Rao", born, seen, 1, False])
    places = book.create_sheet("Places <2>")
    places["B3"], places["C3"] = "zip", "größe"
    places["B4"], places["C4"] = "01234", 7
    book.create_sheet("Empty")
    book.save(HERE / "openpyxl.xlsx")


def avro() -> None:
    """Make several blocks, packed, with types of all kinds."""
    schema = {
        "type": "record",
        "name": "person",
        "fields": [
            {"name": "id", "type": "long"},
            {"name": "name", "type": ["null", "string"]},
            {"name": "born", "type": {"type": "int", "logicalType": "date"}},
            {"name": "tags", "type": {"type": "array", "items": "string"}},
            {"name": "either", "type": ["int", "string"]},
            {
                "name": "price",
                "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2},
            },
        ],
    }
    born = dt.date(1990, 2, 28)
    rows = [
        {"id": n, "name": "a", "born": born, "tags": ["x"], "either": n, "price": Decimal("1.50")}
        for n in range(500)
    ]
    with (HERE / "fastavro.avro").open("wb") as file:
        fastavro.writer(
            file,
            fastavro.parse_schema(schema),
            rows,
            codec="deflate",
            sync_interval=2_000,
            sync_marker=b"0123456789abcdef",
        )


def mail() -> None:
    """Make encoded words, folded lines and two fields of a name; and an mbox of two."""
    message = EmailMessage()
    message["Subject"] = (
        "Grüße aus München, und noch viel mehr als in eine einzige Zeile passen kann, ja"
    )
    message["From"] = "Jörg Müller <jm@example.org>"
    message["To"] = "asha@example.org, ravi@example.org"
    message["Date"] = "Sat, 31 Jan 2026 23:59:59 +0530"
    message["Message-ID"] = "<1@example.org>"
    message["Received"] = "from a by b"
    message["Received"] = "from c by d"
    message.set_content("Hello: this is no field\n")
    (HERE / "python.eml").write_bytes(message.as_bytes())
    box = mailbox.mbox(HERE / "python.mbox")
    box.clear()
    box.add(message)
    box.add(message)
    box.close()


def images() -> None:
    """Make one of each format, the JPEG and the WebP with EXIF data."""
    image = Image.new("RGB", (33, 21), (200, 100, 50))
    exif = piexif.dump(
        {
            "0th": {piexif.ImageIFD.Make: b"Pravah", piexif.ImageIFD.Orientation: 6},
            "Exif": {
                piexif.ExifIFD.DateTimeOriginal: b"2026:01:31 23:59:59",
                piexif.ExifIFD.ExposureTime: (1, 60),
            },
        }
    )
    image.save(HERE / "pillow.jpg", exif=exif, quality=30)
    image.save(HERE / "pillow.webp", exif=exif, quality=30)
    image.save(HERE / "pillow.png")
    image.save(HERE / "pillow.gif")
    image.resize((9, 5)).save(HERE / "pillow.bmp")
    image.resize((9, 5)).save(HERE / "pillow.tiff")


def arrow() -> None:
    """Make two batches."""
    table = pa.table({"id": pa.array([1, 2, 3]), "name": ["a", "b", "c"]})
    with (
        pa.OSFile(str(HERE / "pyarrow.arrow"), "wb") as file,
        pa.ipc.new_file(file, table.schema) as out,
    ):
        out.write_table(table, max_chunksize=2)


if __name__ == "__main__":
    workbook()
    avro()
    mail()
    images()
    arrow()
