"""Decoding ahead in threads: the same bytes for any number of them, and nothing goes on unasked."""

import io
import threading
import time

import numpy as np
import pytest
import torch
from PIL import Image

from reportgen.errors import ImageError
from reportgen.load.ahead import ahead, workers_of
from reportgen.load.decode import decode, looked_at
from reportgen.load.image_set import DamagedImage
from reportgen.load.images import image_set, over_whole_images
from reportgen.options import Options
from tests.corpus.images import BAD, ODD
from tests.load.test_images import SMALL, paths, picture, reasons


def threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("images")]


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_results_come_in_order_however_long_each_takes(workers):
    def slow(number):
        time.sleep(0.003 * (number % 3 == 0))
        return number * number

    assert list(ahead(slow, range(20), workers, 4)) == [number**2 for number in range(20)]
    assert not threads()


def test_no_more_is_done_ahead_than_was_asked_for():
    done = []
    for taken, number in enumerate(
        ahead(lambda number: done.append(number) or number, range(50), 3, 5)
    ):
        assert number == taken
        time.sleep(0.002)
        assert len(done) <= taken + 6
    assert sorted(done) == list(range(50))


def test_an_error_comes_in_its_turn_and_ends_the_threads():
    def failing(number):
        if number >= 4:
            raise ValueError(f"number {number}")
        time.sleep(0.002)
        return number

    seen = []
    with pytest.raises(ValueError, match="number 4"):
        for number in ahead(failing, range(1000), 3, 6):
            seen.append(number)
    assert seen == [0, 1, 2, 3]
    assert not threads()


def test_who_stops_early_leaves_no_threads_and_no_work():
    begun = []
    made = ahead(begun.append, range(1000), 2, 4)
    with pytest.raises(KeyboardInterrupt):
        for _ in made:
            raise KeyboardInterrupt
    made.close()
    assert not threads()
    assert len(begun) <= 6


@pytest.fixture
def folder(tmp_path):
    """Every odd picture of the corpus, among plain ones."""
    for at, odd in enumerate(ODD):
        (tmp_path / f"{at:02}{odd.ending}").write_bytes(odd.data())
    for seed in range(5):
        picture(tmp_path / f"plain{seed}.png", seed=seed, height=9, width=13)
    return tmp_path


def known(images):
    return [(f.path, f.slug, f.sha256, f.width, f.height, f.notes) for f in images.files]


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_any_number_of_workers_gives_the_same_bytes(folder, workers):
    alone = image_set([folder], SMALL)
    quick = image_set([folder], SMALL, workers=workers, is_checked=False)
    whole = torch.cat(list(alone.batches(4)))
    assert torch.equal(torch.cat(list(quick.batches(4))), whole)
    assert torch.equal(torch.cat(list(quick.batches(3, 2, 9))), whole[2:9])
    assert known(quick.settled()) == known(alone)
    assert known(image_set([folder], SMALL, workers=workers)) == known(alone)


def test_what_is_known_of_a_file_is_what_decoding_it_alone_tells(folder):
    for file in image_set([folder], SMALL).files:
        decoded = decode(file.location.read_bytes())
        assert (file.width, file.height) == decoded.picture.size
        assert file.notes[: len(decoded.notes)] == decoded.notes


def test_the_beginning_of_a_file_tells_its_upright_size():
    for orientation in (1, 3, 6, 8):
        exif = Image.Exif()
        exif[0x0112] = orientation
        for kind in ("JPEG", "TIFF", "WEBP"):
            file = io.BytesIO()
            Image.fromarray(np.zeros((9, 13), np.uint8)).save(file, kind, exif=exif)
            look = looked_at(file.getvalue())
            assert (look.width, look.height) == decode(file.getvalue()).picture.size


def damaged(path):
    """A PNG whose beginning is good and whose pixels are not."""
    picture(path, seed=3, height=60, width=60)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


@pytest.mark.parametrize("workers", [0, 3])
def test_damage_behind_a_good_beginning_starts_the_run_again_without_it(tmp_path, workers):
    for seed, name in enumerate(("cat/a.png", "cat/c.png", "dog/a.png", "dog/b.png")):
        picture(tmp_path / name, seed=seed)
    damaged(tmp_path / "cat" / "b.png")
    # A class folder of one, and a name that the page of another would have.
    damaged(tmp_path / "stray.png")
    damaged(tmp_path / "cat" / "a.jpg")
    sure = image_set([tmp_path], SMALL)
    assert len(sure.skipped) == 3 and sure.files[0].true_class == "cat"
    runs = []

    def run(images):
        runs.append(len(images.files))
        return torch.cat(list(images.batches(2)))

    quick = image_set([tmp_path], SMALL, workers=workers, is_checked=False)
    assert quick.skipped == () and quick.files[0].true_class is None
    images, result = over_whole_images(quick, run)
    assert runs == [7, 4]
    assert torch.equal(result, torch.cat(list(sure.batches(2))))
    assert known(images) == known(sure) and images.skipped == sure.skipped
    assert [f.true_class for f in images.files] == [f.true_class for f in sure.files]
    assert images.notes == sure.notes


def test_each_file_is_decoded_once_where_none_is_damaged(folder, monkeypatch):
    from reportgen.load import bands as module

    times = []
    whole = module.decoded_in_thread
    monkeypatch.setattr(
        module, "decoded_in_thread", lambda data, most: times.append(1) or whole(data, most)
    )
    images = image_set([folder], SMALL, workers=2, is_checked=False)
    over_whole_images(images, lambda images: list(images.batches(4)))
    assert len(times) == len(images.files)


def test_all_bad_files_of_the_corpus_are_skipped_for_the_same_reason(tmp_path):
    for at, bad in enumerate(BAD):
        (tmp_path / f"{at:02}{bad.ending}").write_bytes(bad.data())
    picture(tmp_path / "good.png")
    quick = image_set([tmp_path], SMALL, workers=2, is_checked=False)
    images, _ = over_whole_images(quick, lambda images: list(images.batches(4)))
    assert paths(images) == ["good.png"]
    assert reasons(images) == reasons(image_set([tmp_path], SMALL))
    assert len(images.skipped) == len(BAD)


def test_a_file_that_changes_is_not_taken_for_a_damaged_one(tmp_path):
    picture(tmp_path / "a.png")
    picture(tmp_path / "b.png", seed=1)
    images = image_set([tmp_path], SMALL, workers=2, is_checked=False)
    (tmp_path / "b.png").write_bytes(b"other")
    with pytest.raises(ImageError, match=r"b\.png changed while the report was made") as caught:
        over_whole_images(images, lambda images: list(images.batches(4)))
    assert not isinstance(caught.value, DamagedImage)


def test_nothing_but_damage_is_an_error(tmp_path):
    damaged(tmp_path / "a.png")
    images = image_set([tmp_path], SMALL, is_checked=False)
    with pytest.raises(ImageError, match=r"the only file cannot be used; a\.png: The PNG file is"):
        over_whole_images(images, lambda images: list(images.batches(4)))


def test_workers_are_those_asked_for_or_what_the_network_leaves_free(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(6)), raising=False)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)

    def of(**given):
        return workers_of(Options(model="", images=(), **given))

    assert (of(), of(threads=8), of(threads=5), of(workers=9), of(workers=0)) == (4, 0, 1, 9, 0)
    assert of(device="cuda:1") == 6


def test_as_many_results_wait_as_may():
    taken = []

    def items():
        for number in range(9):
            taken.append(number)
            yield number

    for workers, count in ((1, 0), (1, 3), (2, 5)):
        taken.clear()
        made = ahead(str, items(), workers, count)
        assert next(made) == "0" and len(taken) == count + 1
        assert next(made) == "1" and len(taken) == count + 2
        assert [*made] == [str(number) for number in range(2, 9)]
    taken.clear()
    assert next(ahead(str, items(), 0, 3)) == "0" and taken == [0]


def test_what_waits_to_be_begun_is_not_done_for_nobody():
    begun = []

    def slow(number):
        begun.append(number)
        time.sleep(0.05 * bool(number))
        return number

    made = ahead(slow, range(100), 1, 50)
    assert next(made) == 0
    made.close()
    assert len(begun) < 40 and not threads()


def test_workers_where_the_system_tells_only_of_all_processors(monkeypatch):
    monkeypatch.delattr("os.sched_getaffinity", raising=False)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    found = []
    for count in (6, 1, None, 40):
        monkeypatch.setattr("os.cpu_count", lambda count=count: count)
        found.append(workers_of(Options(model="", images=(), threads=1)))
    assert found == [5, 0, 0, 16]
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    asked = [Options(model="", images=(), threads=2, device=d) for d in ("auto", "cpu", "cuda")]
    assert [workers_of(options) for options in asked] == [3, 1, 3]
