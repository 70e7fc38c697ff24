"""A registry of models: what was trained under a name and a version, found again later.

`ModelRegistry` is what one must do; `FileModelRegistry` is one in a folder. A model is bytes here: what they mean is
the business of whoever wrote them, and nothing is ever unpickled by the registry.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol

from pipe_core.kernel.errors import OptionsError, PipeError
from pipe_core.kernel.index import suggestion
from pipe_core.runtime.durable import sync_folder

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")
_FACTS: Final = "model.json"
_ARTIFACT: Final = "artifact.bin"
_STAGED: Final = ".staged-"


class ModelRegistryError(PipeError, OSError):
    """A model in the registry is damaged, or the registry cannot be written. `path` says where."""

    def __init__(self, message: str, *, path: str) -> None:
        super().__init__(message)
        self.path = path

    def __str__(self) -> str:  # OSError has its own idea of str()
        return str(self.args[0])


class ModelNotFoundError(PipeError, LookupError):
    """The registry has no such model, or no such version of it. `name` and `version` say what was asked for."""

    def __init__(self, message: str, *, name: str, version: str | None = None) -> None:
        super().__init__(message)
        self.name = name
        self.version = version


class ModelExistsError(PipeError, FileExistsError):
    """The version is registered already: what was registered never changes. `name` and `version` say which."""

    def __init__(self, message: str, *, name: str, version: str) -> None:
        super().__init__(message)
        self.name = name
        self.version = version

    def __str__(self) -> str:  # OSError has its own idea of str()
        return str(self.args[0])


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """What the registry knows of one version of a model.

    Attributes:
        name: Of the model.
        version: Of it.
        metadata: What was said of it: plain data.
        created: When it was registered, in UTC, as ISO text.
        number: 1 for the model's first version, then counting: the highest one is the latest.
        size: Bytes of the artifact.
        digest: SHA-256 of the artifact.
    """

    name: str
    version: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    created: str = ""
    number: int = 1
    size: int = 0
    digest: str = ""


class ModelRegistry(Protocol):
    """Where models are kept."""

    def register(
        self, name: str, version: str, artifact: bytes, metadata: Mapping[str, Any] | None = None
    ) -> ModelRecord:
        """Keep a version of a model. Visible as a whole or not at all; raises `ModelExistsError` if it is there."""

    def get(self, name: str, version: str | None = None) -> ModelRecord:
        """What is known of a version, or of the latest one; raises `ModelNotFoundError`."""

    def artifact(self, name: str, version: str | None = None) -> bytes:
        """The bytes that were registered; raises `ModelNotFoundError`."""

    def latest(self, name: str) -> ModelRecord:
        """The version that was registered last; raises `ModelNotFoundError`."""

    def versions(self, name: str) -> list[ModelRecord]:
        """All versions of a model, the first one first; none for a name that is not known."""

    def names(self) -> list[str]:
        """The names of all models, sorted."""


class FileModelRegistry:
    """Models in a folder: ``<folder>/<name>/<version>/`` with the facts as JSON and the artifact beside them.

    A version is written under another name, made durable and renamed, so that a process that is killed leaves nothing
    half behind. Several processes may register at once: of two that register one version, one gets an error.

    Args:
        folder: Is made by the first `register`.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def __repr__(self) -> str:
        return f"FileModelRegistry({str(self.folder)!r})"

    def register(
        self, name: str, version: str, artifact: bytes, metadata: Mapping[str, Any] | None = None
    ) -> ModelRecord:
        """Keep a version of a model, for good.

        Args:
            name: Letters, digits, ``. _ + -``; up to 100 of them, and the first is a letter or a digit.
            version: The same.
            artifact: The model's bytes.
            metadata: Plain data that JSON can hold.

        Raises:
            OptionsError: A name or the metadata cannot be kept.
            ModelExistsError: The version is there already.
            ModelRegistryError: The folder cannot be written.
        """
        home = self.folder / _checked(name, "name")
        target = home / _checked(version, "version")
        if target.exists():
            raise _exists(name, version)
        staged = home / f"{_STAGED}{uuid.uuid4().hex}"
        try:
            staged.mkdir(parents=True)
            _write(staged / _ARTIFACT, bytes(artifact))
            record = ModelRecord(
                name=name,
                version=version,
                metadata=dict(metadata or {}),
                created=datetime.now(UTC).isoformat(timespec="seconds"),
                number=max((one.number for one in self.versions(name)), default=0) + 1,
                size=len(artifact),
                digest=hashlib.sha256(artifact).hexdigest(),
            )
            _write(staged / _FACTS, _to_json(record))
            sync_folder(str(staged))
            _rename(staged, target, name, version)
            sync_folder(str(home))
        except OSError as error:
            if isinstance(error, PipeError):
                raise
            raise ModelRegistryError(f"The model cannot be registered: {error}.", path=str(target)) from error
        finally:
            shutil.rmtree(staged, ignore_errors=True)
        return record

    def get(self, name: str, version: str | None = None) -> ModelRecord:
        """What is known of *version*, or of the latest one.

        Raises:
            ModelNotFoundError: There is none.
            ModelRegistryError: Its facts are damaged.
        """
        if version is None:
            return self.latest(name)
        place = self.folder / _checked(name, "name") / _checked(version, "version") / _FACTS
        if not place.is_file():
            raise self._missing(name, version)
        return _read(place)

    def artifact(self, name: str, version: str | None = None) -> bytes:
        """The bytes of *version*, or of the latest one.

        Raises:
            ModelNotFoundError: There is none.
            ModelRegistryError: The bytes are not those that were registered.
        """
        record = self.get(name, version)
        place = self.folder / record.name / record.version / _ARTIFACT
        try:
            data = place.read_bytes()
        except OSError as error:
            raise ModelRegistryError(f"The artifact of '{name}' cannot be read: {error}.", path=str(place)) from error
        if hashlib.sha256(data).hexdigest() != record.digest:
            text = (
                f"The artifact of '{name}' {record.version} is not what was registered: {len(data):,} bytes with "
                f"another checksum, {record.size:,} were written. Something changed {place}; restore it, or register "
                f"the model again under another version."
            )
            raise ModelRegistryError(text, path=str(place))
        return data

    def latest(self, name: str) -> ModelRecord:
        """The version that was registered last.

        Raises:
            ModelNotFoundError: There is none.
        """
        found = self.versions(name)
        if not found:
            raise self._missing(name, None)
        return found[-1]

    def versions(self, name: str) -> list[ModelRecord]:
        """All versions of *name*, the first one first; none for a name that is not known.

        Two that were registered at the same moment by two processes are in the order of their names.
        """
        home = self.folder / _checked(name, "name")
        found = [_read(place / _FACTS) for place in _folders(home) if (place / _FACTS).is_file()]
        return sorted(found, key=lambda record: (record.number, record.created, record.version))

    def names(self) -> list[str]:
        """The names of all models that have a version, sorted."""
        return [home.name for home in _folders(self.folder) if any((one / _FACTS).is_file() for one in _folders(home))]

    def _missing(self, name: str, version: str | None) -> ModelNotFoundError:
        known = [record.version for record in self.versions(name)]
        if known:
            text = f"The model '{name}' has no version '{version}'. It has: {', '.join(known)}."
            return ModelNotFoundError(text + suggestion(version or "", known), name=name, version=version)
        names = self.names()
        has = f"It has: {', '.join(names)}." if names else "It has none at all."
        text = f"The registry in {self.folder} has no model named '{name}'. {has}{suggestion(name, names)}"
        return ModelNotFoundError(text, name=name, version=version)


def _checked(text: Any, what: str) -> str:
    if not isinstance(text, str) or not _NAME.fullmatch(text):
        raise OptionsError(
            f"{text!r} is no {what} of a model: give letters, digits and . _ + -, up to 100, none of the marks first.",
            problems={what: "letters, digits and . _ + - only"},
        )
    return text


def _folders(place: Path) -> list[Path]:
    if not place.is_dir():
        return []
    return sorted(one for one in place.iterdir() if one.is_dir() and _NAME.fullmatch(one.name))


def _to_json(record: ModelRecord) -> bytes:
    try:
        return json.dumps(asdict(record), ensure_ascii=False, indent=1, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise OptionsError(
            f"The metadata of '{record.name}' cannot be kept as JSON: {error}. Give text, numbers, lists and mappings.",
            problems={"metadata": str(error)},
        ) from error


def _read(place: Path) -> ModelRecord:
    try:
        return ModelRecord(**json.loads(place.read_bytes()))
    except (OSError, ValueError, TypeError) as error:
        raise ModelRegistryError(
            f"{place} is damaged: {error}. Restore it or remove its folder.", path=str(place)
        ) from error


def _rename(staged: Path, target: Path, name: str, version: str) -> None:
    try:
        staged.rename(target)  # a folder that has something in it is never replaced
    except OSError as error:
        if target.exists():
            raise _exists(name, version) from error
        raise


def _exists(name: str, version: str) -> ModelExistsError:
    text = f"The model '{name}' has a version '{version}' already, and versions never change. Choose another one."
    return ModelExistsError(text, name=name, version=version)


def _write(place: Path, data: bytes) -> None:
    with place.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
