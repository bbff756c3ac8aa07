"""What was worked out lately is kept, within bounds of number and weight."""

from trunkline.services.query.lru import Lru


def test_the_values_used_last_are_kept_up_to_their_number() -> None:
    kept: Lru[str] = Lru(2, weight_max=100, weight=len)
    made: list[str] = []

    def make(key: str) -> str:
        made.append(key)
        return key

    def get(key: str) -> str:
        return kept.get(key, lambda: make(key))

    assert [get(key) for key in "abacab"] == list("abacab")
    assert made == ["a", "b", "c", "b"]


def test_values_are_kept_up_to_their_weight() -> None:
    kept: Lru[str] = Lru(10, weight_max=10, weight=len)
    for key in range(5):
        kept.get(key, lambda: "xxxx")
    assert len(kept) == 2
    assert kept.get("large", lambda: "x" * 11) == "x" * 11
    assert len(kept) == 2
    assert kept.get(4, lambda: "made again") == "xxxx"
