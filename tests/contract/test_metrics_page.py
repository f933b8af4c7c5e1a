"""docs/metrics.md is what the code counts, and each metric is documented as the conventions want it."""

from typer.testing import CliRunner

from services.metrics_page import PAGE, all_metrics, commands, page
from shared.metrics import Metric, Question

TYPES = {"counter", "gauge", "histogram"}


def every() -> list[Metric]:
    return [one for those in all_metrics().values() for one in those]


def test_the_committed_page_is_the_codes() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(all_metrics()), "'lanjie metrics write' writes it anew"
    done = CliRunner().invoke(commands, ["check"])
    assert done.exit_code == 0
    assert "told truly" in done.output


def test_every_metric_says_what_it_is_what_it_answers_and_what_bounds_each_label() -> None:
    for one in every():
        assert one.meaning, one.name
        assert one.asks, one.name
        assert all(bound.says for bound in one.labels.values()), one.name
        assert "|" not in one.meaning + one.asks, "it would break the table"


def test_names_follow_the_conventions() -> None:
    for one in every():
        assert one.type in TYPES
        assert (one.type == "counter") == one.name.endswith("_total"), one.name
        assert one.name.startswith(("lanjie_", "process_", "python_")), one.name
        assert one.name.removeprefix("lanjie_") not in one.labels, f"{one.name}: a label is called like it"


def test_no_label_is_an_id_and_every_question_has_an_answer() -> None:
    labels = {label for one in every() for label in one.labels}
    assert not {label for label in labels if label == "id" or label.endswith("_id")}
    assert {one.question for one in every()} == set(Question)


def test_a_metric_of_several_services_has_one_type_and_one_unit() -> None:
    kinds: dict[str, set[tuple[str, str]]] = {}
    for one in every():
        kinds.setdefault(one.name, set()).add((one.type, one.unit))
    assert not {name: those for name, those in kinds.items() if len(those) > 1}


def test_no_service_tells_of_a_metric_twice() -> None:
    for those in all_metrics().values():
        names = [one.name for one in those]
        assert len(names) == len(set(names))
