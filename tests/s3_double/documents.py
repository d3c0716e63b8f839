"""The XML that S3 speaks, written and read."""

from __future__ import annotations

import re
from collections.abc import Iterable
from email.utils import formatdate
from time import gmtime, strftime
from xml.etree import ElementTree as ET

from tests.s3_double.messages import S3Error

_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
# XML 1.0 can't hold these at all; S3 writes them as references nevertheless.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
Element = tuple[str, "str | Iterable[Element]"]


def document(name: str, children: Iterable[Element]) -> bytes:
    """Write a document of S3's namespace."""
    inner = "".join(map(_written, children))
    head = '<?xml version="1.0" encoding="UTF-8"?>\n'
    return f'{head}<{name} xmlns="{_NAMESPACE}">{inner}</{name}>'.encode()


def error_document(code: str, resource: str) -> bytes:
    """Write an error as it stands in the body of an answer."""
    fields = [("Code", code), ("Message", f"the double says {code}"), ("Resource", resource)]
    inner = "".join(map(_written, [*fields, ("RequestId", "0000")]))
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{inner}</Error>'.encode()


def parsed(body: bytes) -> ET.Element:
    """Read a document, without its namespace."""
    try:
        root = ET.fromstring(body)
    except ET.ParseError:
        raise S3Error(400, "MalformedXML") from None
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def time_in_document(time_s: float) -> str:
    """Write a time as documents have it."""
    return strftime("%Y-%m-%dT%H:%M:%S.000Z", gmtime(time_s))


def time_in_header(time_s: float) -> str:
    """Write a time as headers have it."""
    return formatdate(time_s, usegmt=True)


def _written(element: Element) -> str:
    name, value = element
    inner = _escaped(value) if isinstance(value, str) else "".join(map(_written, value))
    return f"<{name}>{inner}</{name}>"


def _escaped(text: str) -> str:
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        text = text.replace(character, entity)
    return _CONTROLS.sub(lambda found: f"&#x{ord(found.group()):x};", text)
