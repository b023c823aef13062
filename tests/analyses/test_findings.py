from reportgen.analyses.findings import by_severity, counted, few, percent
from reportgen.report.records import Finding


def test_percent_says_none_and_all_only_where_they_are_exact() -> None:
    shares = (0.0, 0.0004, 0.0041, 0.0996, 0.19, 0.9964, 0.9996, 1.0)
    assert [percent(share) for share in shares] == [
        "0 %",
        "under 0.1 %",
        "0.4 %",
        "10 %",
        "19 %",
        "99.6 %",
        "over 99.9 %",
        "100 %",
    ]


def test_counted() -> None:
    assert (counted(1, "image"), counted(2344, "filter")) == ("1 image", "2,344 filters")


def test_the_most_severe_come_first_and_equals_stay_in_their_order() -> None:
    given = [Finding(s, "x", str(i), "") for i, s in enumerate(("info", "warning", "error") * 2)]
    assert "".join(finding.text for finding in by_severity(given)) == "251403"


def test_few_lists_the_worst_and_folds_the_rest() -> None:
    many = [Finding("warning", "dead", f"{i}", "a.html") for i in range(8)]
    many[6] = Finding("error", "dead", "worst", "b.html")
    kept = few(many, "layer", "all.html")
    assert [finding.text for finding in kept] == ["worst", "0", "1", "And 5 more layers like this."]
    assert kept[-1] == Finding("warning", "dead", "And 5 more layers like this.", "all.html")


def test_few_folds_nothing_where_a_line_would_save_nothing() -> None:
    many = [Finding("warning", "dead", f"{i}", "a.html") for i in range(4)]
    assert few(many, "layer", "all.html") == tuple(many)
