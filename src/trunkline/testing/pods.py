"""What a rendered Deployment's container finds in its pod, on this machine: arguments, variables and files.

Nothing is made up. Where the manifest says a path, that path is below a directory of the test's; where it
says the address of Strimzi's Service, that is the address of the test's cluster; and the Secrets are files
that the test has, a directory for each. A Secret or a key that is not there is an error, as the pod would not
start.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

SECRET: Final = "secret"  # noqa: S105 - a kind of volume


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """One container: the command with its arguments, and all the variables that it has."""

    command: Sequence[str]
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """Where a pod is put. `root` stands for its `/`, `secrets` has the Secrets that its namespace has.

    `addresses` are those to come to instead of the ones in the manifest.
    """

    root: Path
    secrets: Path
    addresses: Mapping[str, str]

    def run(self, deployment: Mapping[str, Any]) -> Pod:
        """The pod of a Deployment's manifest, with its volumes below `root`.

        Raises `FileNotFoundError` for a Secret, or a key of one, that is not there and not optional.
        """
        spec = deployment["spec"]["template"]["spec"]
        (container,) = spec["containers"]
        volumes = {volume["name"]: volume for volume in spec["volumes"]}
        # The shortest first: one volume may be mounted within another.
        mounts = sorted(container["volumeMounts"], key=lambda mount: len(mount["mountPath"]))
        for mount in mounts:
            self._mount(volumes[mount["name"]], self._below_root(mount["mountPath"]))
        paths = [mount["mountPath"] for mount in mounts]
        return Pod(
            command=[self._here(word, paths) for word in (*container["command"], *container["args"])],
            environment={one["name"]: self._here(self._value(one), paths) for one in container["env"]},
        )

    def _mount(self, volume: Mapping[str, Any], target: Path) -> None:
        target.mkdir(parents=True, exist_ok=True)
        if SECRET not in volume:
            return
        told = volume[SECRET]
        source = self.secrets / told["secretName"]
        if not source.is_dir() and told.get("optional"):
            return
        keys = told.get("items") or [{"key": file.name, "path": file.name} for file in source.iterdir()]
        for item in keys:
            (target / item["path"]).symlink_to((source / item["key"]).resolve(strict=True))

    def _value(self, variable: Mapping[str, Any]) -> str:
        if "value" in variable:
            return str(variable["value"])
        wanted = variable["valueFrom"]["secretKeyRef"]
        key = Path(self.secrets, wanted["name"], wanted["key"])
        return key.read_text(encoding="utf-8")

    def _here(self, text: str, paths: Sequence[str]) -> str:
        if any(text == path or text.startswith(f"{path}/") for path in paths):
            return str(self._below_root(text))
        return self.addresses.get(text, text)

    def _below_root(self, path: str) -> Path:
        return self.root / path.removeprefix("/")
