"""Which tests look after which module: quick ones, then those that a mistake meets that passed."""

_ANY = ("tests/load/test_any_wrapping.py", "tests/fuzz/test_target.py")
_FILES = ("tests/load/test_rare_files.py", "tests/load/test_formats.py")
_KINDS = "tests/load/test_strangers.py"
_HOSTILE = ("tests/load/test_model_hostile.py",)
_WRITTEN = tuple(
    f"tests/write/test_{name}.py" for name in ("site", "files", "interrupts", "claims")
)
_WRITING = ("destination", "exchange", "files", "interrupts", "links", "locks", "site", "staging")

TESTS: dict[str, tuple[str, ...]] = {
    "reportgen.load.prefixes": _ANY,
    "reportgen.load.pickle_names": (*_HOSTILE, *_ANY, *_FILES),
    "reportgen.load.legacy": (*_ANY, *_HOSTILE, *_FILES),
    "reportgen.load.formats": (*_ANY, _KINDS, *_FILES, *_HOSTILE),
    "reportgen.load.checkpoint": (*_ANY, *_FILES, *_HOSTILE),
    "reportgen.load.salvage": (*_ANY, *_FILES, *_HOSTILE),
    "reportgen.load.plain_tensors": (*_ANY, *_FILES),
    "reportgen.load.fitting": (*_FILES, *_HOSTILE),
    "reportgen.load.listing": ("tests/load/test_listing.py", "tests/load/test_any_name.py", _KINDS),
    "reportgen.load.decode": (
        "tests/load/test_decode.py",
        "tests/load/test_decode_damaged.py",
        _KINDS,
    ),
    **{f"reportgen.write.{name}": _WRITTEN for name in _WRITING},
    "reportgen.write.links": ("tests/write/test_links.py",),
}
THEN: dict[str, tuple[str, ...]] = {
    name: ("tests/write/test_faults.py",) if ".write." in name else ("tests/load/test_model.py",)
    for name in TESTS
    if name.rpartition(".")[2] not in ("listing", "decode", "links")
}
"Slower tests, for the mistakes that those let pass."
