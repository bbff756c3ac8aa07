from trunkline.operate.change import Change, Layer, Risk, Verb, worst


def a_change(risk: Risk, *, field: str = "") -> Change:
    return Change(
        layer=Layer.CLUSTER, verb=Verb.ALTER, kind="topic", name="a.b.c", risk=risk, why="why", field=field
    )


def test_the_gravest_risk_of_several_is_told() -> None:
    assert worst([a_change(Risk.SAFE), a_change(Risk.DATA), a_change(Risk.ORDER)]) is Risk.DATA


def test_nothing_to_change_risks_nothing() -> None:
    assert worst([]) is None


def test_a_subject_names_kind_name_and_field() -> None:
    assert a_change(Risk.SAFE, field="retention.ms").subject == "topic a.b.c retention.ms"
    assert a_change(Risk.SAFE).subject == "topic a.b.c"
