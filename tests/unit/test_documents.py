"""What documents say about the code stays true."""

import re
import tomllib
from pathlib import Path

import pravah
from pravah.settings import SETTINGS

PROJECT = Path(__file__).parent.parent.parent
GUIDE = PROJECT / "docs" / "user_guide.md"
DOCUMENTED_SETTINGS = [
    "LOG_LEVEL",
    "APP_HOST",
    "APP_PORT",
    "DATABASE_URL",
    "S3_ACCESS_KEY_ID",
    "S3_SECRET_ACCESS_KEY",
    "S3_BUCKET_NAME",
    "S3_ENDPOINT_URL",
    "S3_REGION_NAME",
    "S3_USE_SSL",
]


def kinds_of_code() -> set[str]:
    """Give every `kind` that Python or Rust can raise."""
    sources = PROJECT / "pravah_core/core/src"
    core = (sources / "error.rs").read_text("utf-8")
    core += (sources / "stores/s3/refusal.rs").read_text("utf-8")
    python = "".join(path.read_text("utf-8") for path in (PROJECT / "src").rglob("*.py"))
    said = (
        r'(?:\bkind=|"kind": |_lose\(|^    kind(?:: str)? = '
        r'|\bProblem\(\s*\d+,\s*|_refusal\(\s*)"([a-z_]+)"'
    )
    return {
        *re.findall(r'=> "([a-z_]+)"', core),
        *re.findall(said, python, re.MULTILINE),
    }


def kinds_of_guide() -> set[str]:
    """Give the kinds in the first column of the guide's table of kinds."""
    _, _, rest = GUIDE.read_text("utf-8").partition("### Kinds")
    table, _, _ = rest.partition("\n## ")
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    return {kind for cell in cells for kind in re.findall(r"`([a-z_]+)`", cell)}


def test_guide_kinds_are_those_of_the_code() -> None:
    assert kinds_of_guide() == kinds_of_code()


def test_env_example_has_the_documented_names_and_none_that_is_not_read() -> None:
    lines = (PROJECT / ".env.example").read_text("utf-8").splitlines()
    names = [line.partition("=")[0] for line in lines if line and not line.startswith("#")]

    assert names[: len(DOCUMENTED_SETTINGS)] == DOCUMENTED_SETTINGS
    assert set(names) <= {setting.name for setting in SETTINGS}


def test_version_is_the_same_everywhere() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))
    workspace = tomllib.loads((PROJECT / "pravah_core/Cargo.toml").read_text("utf-8"))

    assert project["project"]["version"] == pravah.__version__
    assert workspace["workspace"]["package"]["version"] == pravah.__version__


def test_relative_links_of_documents_lead_to_files() -> None:
    pages = [*PROJECT.glob("*.md"), *PROJECT.glob("docs/*.md")]
    links = [
        (page, link)
        for page in pages
        for link in re.findall(r"\]\(([^)#]+)\)", page.read_text("utf-8"))
        if "://" not in link
    ]

    assert links
    assert [(page.name, link) for page, link in links if not (page.parent / link).exists()] == []
