"""No output holds a word of the machine, the environment, or what images and checkpoints carry."""

import base64
import hashlib
import io
import json
import re
import socket
import sys
import time
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from tests.bytes.conftest import Made
from tests.bytes.runs import ROOT, Place
from tests.bytes.scan import chunks, found_in, words_in
from tests.bytes.sources import CANARIES, photo

OWN_CHUNKS = {"IHDR", "IDAT", "IEND", "PLTE", "tRNS", "VP8 ", "VP8L", "VP8X", "ALPH", "pHYs"}


def words_of(place: Place) -> dict[str, str]:
    """What the processes of a place could have repeated, by what it is."""
    environment = place.environment
    return {
        "cwd": str(place.cwd),
        "its name": place.folder.name,
        "root": place.folder.parent.name,
        **{name: environment[name] for name in ("HOME", "TMPDIR", "USER", "HOSTNAME")},
        "home's name": Path(environment["HOME"]).name,
        "temporary folder's name": Path(environment["TMPDIR"]).name,
        "secret": environment["SECRET_TOKEN"],
        "zone": environment["TZ"],
        "search path": environment["PATH"],
        "sources": str(place.sources.model.parent),
        "name of the photos' folder": place.sources.photos.name,
    }


def dates(now: float) -> dict[str, str]:
    """Today as texts have it, in two zones, and the day that SOURCE_DATE_EPOCH names."""
    forms = ("%Y-%m-%d", "%Y%m%d", "%Y/%m/%d", "%d %b %Y", "%d %B %Y", "%B %d, %Y", "%b %d %H:%M")
    days = {"today": now, "yesterday": now - 86_400, "set": 1234567890.0}
    return {
        f"{day} {form}": time.strftime(form, time.gmtime(at))
        for day, at in days.items()
        for form in forms
    }


@pytest.mark.slow
def test_no_word_of_the_machine_or_of_the_files_is_in_any_output(first: Made, second: Made) -> None:
    words = {**CANARIES, **dates(time.time()), "checkout": str(ROOT), "python": sys.prefix}
    words |= {"traceback": "Traceback (most recent call last)", "epoch": "1234567890"}
    if len(socket.gethostname()) > 4:
        words["host"] = socket.gethostname()
    for made in (first, second):
        words |= {f"{made.place.folder} {key}": word for key, word in words_of(made.place).items()}
    # Both wrote the same, as another test says; each was given words of its own.
    files = {path: content for path, (_, content) in first.files.items()}
    assert found_in(files, {word for word in words.values() if len(word) > 5}) == set()


@pytest.mark.slow
def test_pictures_have_pixels_and_nothing_else(first: Made) -> None:
    pictures = [
        (path, content)
        for path, (_, content) in first.files.items()
        if path.endswith((".png", ".webp"))
    ]
    assert len(pictures) > 100
    assert {
        path: extra for path, content in pictures if (extra := chunks(content) - OWN_CHUNKS)
    } == {}


@pytest.mark.slow
def test_archives_and_documents_have_no_time(first: Made) -> None:
    seen = 0
    for path, (_, content) in first.files.items():
        if content.startswith(b"PK"):
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                times = {entry.date_time for entry in archive.infolist()}
                assert times <= {(1980, 1, 1, 0, 0, 0), (1980, 0, 0, 0, 0, 0)}, path
                seen += 1
        elif content.startswith(b"\x1f\x8b"):
            assert content[3:8] == bytes(5), f"{path} has a name or a time"
        elif content.startswith(b"%PDF"):
            assert not re.search(rb"/(CreationDate|ModDate|Author)\b", content), path
            seen += 1
    assert seen > 20


@pytest.mark.slow
def test_the_report_says_what_it_takes_to_make_it_again(first: Made) -> None:
    report = json.loads(first.files["report/report.json"][1])
    sources = first.place.sources
    assert report["model"]["sha256"] == hashlib.sha256(sources.model.read_bytes()).hexdigest()
    hashes = {image["path"]: image["sha256"] for image in report["images"]}
    assert len(hashes) == 6
    for path, digest in hashes.items():
        assert digest == hashlib.sha256((sources.photos / path).read_bytes()).hexdigest()
    made = report["provenance"]
    assert {"python", "torch", "pillow", "numpy"} <= {name for name, _ in made["versions"]}
    assert made["command"].startswith("reportgen build model.ckpt images --title 'The net'")
    assert dict(made["options"])["labels"] == "labels.txt"
    assert made["files"] == [
        [place.name, hashlib.sha256(place.read_bytes()).hexdigest()]
        for place in (sources.code, sources.labels)
    ]
    assert re.fullmatch("[0-9a-f]{64}", made["config"])


@pytest.mark.parametrize("ending", ["jpg", "png", "webp"])
def test_the_scan_finds_what_photos_carry(ending: str) -> None:
    words = {
        "jpg": {"exif text", "camera", "taken", "jpeg comment", "xmp"},
        "png": {"exif text", "camera", "png text", "compressed png text", "xmp"},
        "webp": {"exif text", "camera", "taken", "xmp"},
    }[ending]
    found = words_in(photo(f"owl 1.{ending}"), CANARIES.values())
    assert {CANARIES[word] for word in words} <= found


def test_the_scan_finds_a_word_in_every_wrapping() -> None:
    word = "Dugong-Hidden-30"
    text = f"before {word.upper()} after".encode()
    archive = io.BytesIO()
    np.savez_compressed(archive, names=np.array([word]))
    picture, texts = io.BytesIO(), PngImagePlugin.PngInfo()
    texts.add_text("a", word, zip=True)
    Image.new("L", (3, 2)).save(picture, "PNG", pnginfo=texts)
    pixels = io.BytesIO()
    Image.frombytes("L", (len(text), 1), text).save(pixels, "PNG")
    packed = base64.b64encode(zlib.compress(text * 3))
    wrappings = {
        "plain": text,
        "sixteen": text.decode().encode("utf-16-le"),
        "numpy": archive.getvalue(),
        "png text": picture.getvalue(),
        "png pixels": pixels.getvalue(),
        "packed page": b'<script type="text/plain">' + packed + b"</script>",
        "picture in a page": b"url(data:image/png;base64," + base64.b64encode(picture.getvalue()),
        "pdf": b"%PDF-1.4\nstream\n" + zlib.compress(text) + b"\nendstream",
        "json": b'"' + b"".join(b"\\u%04x" % ord(c) for c in word) + b'"',
        "address": b"href=" + b"".join(b"%%%02x" % ord(c) for c in word),
    }
    missed = [name for name, content in wrappings.items() if word not in words_in(content, [word])]
    assert missed == []
