"""Which tests look after which module, those that fail soonest first."""

_WORDS = ("tests/load/test_any_wrapping.py", "tests/fuzz/test_target.py")
_MODELS = ("tests/load/test_formats.py", "tests/load/test_model.py")
_HOSTILE = ("tests/load/test_model_hostile.py",)

TESTS: dict[str, tuple[str, ...]] = {
    "reportgen.load.prefixes": (*_WORDS, "tests/load/test_model.py"),
    "reportgen.load.pickle_names": (*_HOSTILE, *_WORDS, "tests/load/test_formats.py"),
    "reportgen.load.legacy": (*_WORDS, *_MODELS, *_HOSTILE),
    "reportgen.load.formats": (*_WORDS, *_MODELS, *_HOSTILE),
    "reportgen.load.checkpoint": (*_WORDS, *_MODELS, *_HOSTILE),
    "reportgen.load.salvage": (*_WORDS, *_HOSTILE, *_MODELS),
    "reportgen.load.plain_tensors": (*_WORDS, *_MODELS),
    "reportgen.load.fitting": ("tests/load/test_model.py", "tests/load/test_formats.py", *_HOSTILE),
    "reportgen.load.listing": ("tests/load/test_listing.py", "tests/load/test_any_name.py"),
    "reportgen.load.decode": ("tests/load/test_decode.py", "tests/load/test_decode_damaged.py"),
}
