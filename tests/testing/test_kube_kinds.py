"""KEDA's kinds as an API server wants their definitions."""

from pathlib import Path

from trunkline.testing.kube_kinds import definitions

CRD = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: x}\n"


def test_keda_s_kinds_have_structural_schemas() -> None:
    made = {one["spec"]["names"]["kind"]: one for one in definitions(None)}
    assert set(made) == {"ScaledObject", "TriggerAuthentication"}
    (version,) = made["ScaledObject"]["spec"]["versions"]
    spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    assert spec["required"] == ["scaleTargetRef", "triggers"]
    trigger = spec["properties"]["triggers"]["items"]["properties"]
    assert trigger["type"] == {"type": "string", "enum": ["kafka"]}
    assert "additionalProperties" not in str(made)


def test_definitions_are_read_at_any_depth_and_nothing_else_is(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "a.yaml").write_text(f"---\n{CRD}---\nkind: Other\n---\n")
    assert [one["metadata"]["name"] for one in definitions(tmp_path)][2:] == ["x"]
