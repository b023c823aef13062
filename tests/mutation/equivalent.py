"""Mistakes that are none: the module does the same with them, so that no test can notice.

Each stands with the reason. A test fails for one whose line is no longer there.
"""

EQUIVALENT: dict[tuple[str, str, str], str] = {
    ("load.ahead", 'Item = TypeVar("Item")', "another text"): "the name is for readers",
    ("load.ahead", 'Result = TypeVar("Result")', "another text"): "the name is for readers",
    ("load.images", 'Result = TypeVar("Result")', "another text"): "the name is for readers",
    ("load.tables", "if TYPE_CHECKING:", "condition turned"): "what is imported there is types",
    (
        "load.archives",
        "if sum(info.compress_size for info in infos) > whole:",
        "Gt to GtE",
    ): "headers take room too, so that the members alone are never as large",
    ("load.formats", "if stored > size:", "Gt to GtE"): "as in archives",
    (
        "load.content",
        "data = unpacker.decompress(data, self.size + 1)",
        "one more",
    ): "what is longer than stated is refused, by whatever",
    (
        "load.reader",
        'description(path, "", checkpoint.exported)',
        "another text",
    ): "the hash is for what lies beside a file, and this lies in it",
    (
        "load.architectures",
        "_CLASSES = 1009",
        "one more",
    ): "any size that no network has marks the classes",
    (
        "load.timm_index",
        "_CLASSES = 1009",
        "one more",
    ): "any size that no network has marks the classes",
    (
        "load.program_batch",
        "for values, batch in zip(self._values, self._batches, strict=True):",
        "true for false",
    ): "there are two of each",
    (
        "load.fitting",
        "net.load_state_dict(state, strict=True, assign=on_meta)",
        "true for false",
    ): "the table has the network's own names, each once",
    (
        "load.limited",
        "pause = min(2 * pause, _LONGEST_PAUSE)",
        "one more",
    ): "the child is looked at a little later",
    ("write.locks", "time.sleep(0.01)", "statement dropped"): "it waits busily, and as long",
}
"By module without `reportgen.`, text of the line, and mistake."


def reason(module: str, line: str, mistake: str) -> str:
    """Why a mistake changes nothing; empty where it is not known to be so."""
    return EQUIVALENT.get((module.removeprefix("reportgen."), line.strip(), mistake), "")
