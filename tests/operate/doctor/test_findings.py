"""What an examination says."""

from trunkline.operate.doctor.findings import Family, Verdict, counted, failed, ok, tally


def test_a_finding_is_one_sentence_of_what_and_what_to_do() -> None:
    assert failed(Family.TLS, "kafka:9093", "it has ended", "renew it").sentence == (
        "kafka:9093: it has ended; renew it"
    )
    assert ok(Family.BROKERS, "", "3 up").sentence == "3 up"


def test_every_verdict_is_counted_also_where_there_is_none() -> None:
    found = tally([ok(Family.TLS, "", ""), ok(Family.TLS, "", ""), failed(Family.TLS, "", "")])
    assert (found[Verdict.OK], found[Verdict.FAILED], found[Verdict.WARNING]) == (2, 1, 0)


def test_numbers_have_their_nouns() -> None:
    assert [counted(number, "member") for number in (0, 1, 2_000)] == [
        "0 members",
        "1 member",
        "2,000 members",
    ]
