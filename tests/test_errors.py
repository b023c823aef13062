"""What libraries say becomes one sentence that names no folder."""

import pytest

from reportgen.errors import first_line


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("No such file: '/home/ada/nets/net.pth'", "No such file: 'net.pth'"),
        ("/opt/lib/torch/nn/conv.py:12 failed.\nmore", "conv.py:12 failed"),
        (r"C:\Users\ada\net.pth is gone", "net.pth is gone"),
        ("~/nets/net.pth is gone", "net.pth is gone"),
        ("a shape of 3/4 and/or 1 / 2", "a shape of 3/4 and/or 1 / 2"),
        ("see https://pytorch.org/docs/stable", "see https://pytorch.org/docs/stable"),
        ("", "ValueError"),
    ],
)
def test_folders_go_and_names_stay(said: str, shown: str) -> None:
    assert first_line(ValueError(said)) == shown
