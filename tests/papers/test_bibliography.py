import pytest

from reportgen.analyses import ANALYSES
from reportgen.papers.bibliography import STANDING, Bibliography, bibtex
from reportgen.papers.methods import methods_text, sentences
from tests.papers.latex_reader import entries_in
from tests.render.sample_report import HOSTILE, sample_report

REFERENCES = [*dict.fromkeys(text for one in ANALYSES for text in one.references), *STANDING]


def entries(*references):
    made = Bibliography(references).entries
    return entries_in("\n".join(entry.source() for entry in made))


def test_every_reference_of_a_section_has_an_entry_with_authors_title_and_year():
    found = entries(*REFERENCES)
    assert len(found) == len(set(REFERENCES))
    for key, fields in found.items():
        assert {"author", "title", "year"} <= set(fields), key
        assert key.endswith(fields["year"]) or key[:-1].endswith(fields["year"]), key
        text = next(t for t in REFERENCES if fields["title"].rstrip("?") in t)
        for author in fields["author"].split(" and "):
            assert author in text or author == "others"


@pytest.mark.parametrize(
    ("text", "key", "fields"),
    [
        (
            "Smilkov, Thorat, Viégas: SmoothGrad: removing noise. arXiv:1706.03825, 2017.",
            "smilkov2017",
            {
                "kind": "misc",
                "author": "Smilkov and Thorat and Viégas",
                "title": "SmoothGrad: removing noise",
                "eprint": "1706.03825",
            },
        ),
        (
            "Hanley: Is everything all right? Interpreting zero numerators. JAMA, 1983.",
            "hanley1983",
            {
                "kind": "article",
                "title": "Is everything all right? Interpreting zero numerators",
                "journal": "JAMA",
            },
        ),
        (
            "Field: Cortical cells. Journal of the Optical Society of America A 4 (12), 1987.",
            "field1987",
            {
                "journal": "Journal of the Optical Society of America A",
                "volume": "4",
                "number": "12",
            },
        ),
        (
            "Dosovitskiy et al.: An Image: At Scale. ICLR, 2021.",
            "dosovitskiy2021",
            {"kind": "inproceedings", "author": "Dosovitskiy and others", "booktitle": "ICLR"},
        ),
        (
            "Nuñez: A {B} \\C. Montreal, technical report 1341, 2009.",
            "nunez2009",
            {
                "kind": "techreport",
                "title": "A {B} \\C",
                "institution": "Montreal",
                "number": "1341",
            },
        ),
        (
            "something of no form at all",
            "somethingofnofor",
            {"note": "something of no form at all"},
        ),
    ],
)
def test_an_entry_says_what_its_reference_says(text, key, fields):
    found = entries(text)
    assert list(found) == [key]
    assert fields.items() <= found[key].items()


def test_two_works_of_one_author_and_year_have_two_keys():
    found = Bibliography([f"Zhang: {title}. ICML, 2019." for title in "AB"])
    assert list(found.keys.values()) == ["zhang2019", "zhang2019b"]


def test_the_file_of_a_report_is_sound_whatever_its_name():
    found = entries_in(bibtex(sample_report()))
    own = found["reportgen-abababab"]
    assert own["title"] == f"Network report: squeezenet {HOSTILE}".replace('"', "”")
    assert "adebayo2018" in found


def test_methods_cite_only_what_is_in_the_file():
    report = sample_report()
    known = entries_in(bibtex(report))
    cited = {key for sentence in sentences(report) for key in sentence.keys}
    assert cited <= set(known)
    text = methods_text(report)
    assert "where the mean colour hides a window of 16 × 16 pixels, moved by 8 × 8 pixels" in text
    assert "(SHA-256 abababababababab)" in text and "torch 2.15" in text
