"""Proofs on disk, as text: a small JSON file each, named by the op and the hash of all that the proof depends on.

A user who can write a proof can call a wrong rule proved. Proofs are therefore read from, and written to, a
`TrustedFolder` only. No key is kept beside them: a user who may write there might as well read it. Nothing is unpickled:
the files hold numbers and text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from gradproof.engine.cases import Case
from gradproof.engine.trusted_folder import TrustedFolder
from gradproof.engine.verify.verdict import RuleVerdict, RuleWord

SCHEMA = 6
SUFFIX = ".json"
MAX_ARRAY = 1024  # elements of an array in a case that is kept
WARNING = "the cache of proofs at %s cannot be used as it is (%s); proofs are made again where they are missing"


class ProofCache:
    """Proofs in a folder."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._folder = TrustedFolder(directory, SCHEMA, WARNING)

    def get(self, name: str) -> RuleVerdict | None:
        """The verdict saved under ``name``, marked as cached, or None."""
        proof = self._folder.load(name + SUFFIX, _proof)
        return None if proof is None else replace(proof[0], cached=True)

    def cases(self, op: str) -> Iterator[tuple[str, Case]]:
        """The names and cases of all proofs of an op, of any version."""
        for file in self._folder.names(f"{op}-", SUFFIX):
            proof = self._folder.load(file, _proof)
            if proof is not None and proof[0].op == op and proof[1] is not None:
                yield file.removesuffix(SUFFIX), proof[1]

    def put(self, name: str, verdict: RuleVerdict, case: Case | None = None) -> None:
        """Save ``verdict``, and its case."""
        text = None if case is None else case_text(case)
        self._folder.save(name + SUFFIX, {"verdict": asdict(verdict), "case": text})


def _proof(body: Any) -> tuple[RuleVerdict, Case | None]:
    """The verdict and case in a file. Raises ValueError, TypeError or KeyError."""
    return verdict_from(body["verdict"]), None if body["case"] is None else case_from(body["case"])


def verdict_from(values: Mapping[str, Any]) -> RuleVerdict:
    """A verdict from its fields. Raises ValueError for unknown or missing fields, or wrong types."""
    blank = RuleVerdict(RuleWord.PENDING, "")
    kinds = {field.name: type(getattr(blank, field.name)) for field in fields(RuleVerdict)}
    if values.keys() != kinds.keys():
        raise ValueError(f"a verdict has the fields {', '.join(kinds)}")
    whole = dict(values) | {"word": RuleWord(values["word"]), "obligations": tuple(values["obligations"])}
    if any(type(value) is not kinds[name] for name, value in whole.items()):
        raise ValueError("a field of a verdict has another type")
    if not all(type(field) is str for field in whole["obligations"]):
        raise ValueError("an obligation is no text")
    return RuleVerdict(**whole)


def case_text(case: Case) -> Any:
    """A case as JSON; None if a value in it is not plain, or too large."""
    try:
        return {
            "inputs": [_plain(x) for x in case.inputs],
            "attributes": {name: _plain(value) for name, value in case.attributes.items()},
            "dtype": case.dtype.name,
            "sampled": list(case.sampled),
            "free": list(case.free),
            "beside": None if case.beside is None else case_text(case.beside),
        }
    except TypeError:
        return None


def case_from(text: Any) -> Case:
    """The case of a `case_text`. Raises ValueError, TypeError or KeyError for any other text."""
    attributes = {name: _value(value) for name, value in text["attributes"].items()}
    beside = None if text["beside"] is None else case_from(text["beside"])
    inputs, sampled, free = map(_value, text["inputs"]), tuple(text["sampled"]), tuple(text["free"])
    return Case(tuple(inputs), attributes, np.dtype(text["dtype"]), sampled, beside, free)


def _plain(value: Any) -> Any:
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is float:
        return {"float": value.hex()}
    if type(value) is Fraction:
        return {"fraction": str(value)}
    if type(value) in (tuple, list):
        return {type(value).__name__: [_plain(element) for element in value]}
    if isinstance(value, np.ndarray) and value.dtype.kind in "biu" and value.size <= MAX_ARRAY:
        return {"array": value.ravel().tolist(), "dtype": value.dtype.name, "shape": list(value.shape)}
    raise TypeError(f"a {type(value).__name__} is not kept")


def _value(text: Any) -> Any:
    if not isinstance(text, dict):
        return text
    if "array" in text:
        return np.array(text["array"], text["dtype"]).reshape(text["shape"])
    [(kind, inner)] = text.items()
    if kind == "float":
        return float.fromhex(inner)
    if kind == "fraction":
        return Fraction(inner)
    return {"tuple": tuple, "list": list}[kind](map(_value, inner))
