"""Fingerprints: a function with all that it reaches, as text on which two processes agree.

A saved proof is a proof of the functions that it read. Their byte code says what they do, and not what they refer to:
globals, cells, members of modules and classes, the state of objects, exact constants. All of it is read here; an object
that cannot be read (a generator, a file, the inside of a library's object) raises `Unreadable`, and its proof is not
saved.
"""

from __future__ import annotations

import dis
import enum
import functools
import hashlib
import inspect
import re
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from importlib.util import resolve_name
from pathlib import Path
from random import Random
from types import (
    BuiltinFunctionType,
    CellType,
    CodeType,
    FunctionType,
    GetSetDescriptorType,
    MappingProxyType,
    MemberDescriptorType,
    MethodType,
    MethodWrapperType,
    ModuleType,
    SimpleNamespace,
)
from typing import Any

import numpy as np
import sympy

from gradproof.engine.cancellation import look
from gradproof.engine.verify.proof_cache.checker import checker_modules

LIBRARIES = frozenset({*sys.stdlib_module_names, "sympy", "flint", "numpy", "scipy", "ml_dtypes"})
MAX_THINGS = 20_000
DOORS = frozenset({
    "eval", "exec", "globals", "locals", "vars", "open", "environ", "getenv", "import_module", "__import__", "read_text",
    "read_bytes", "modules", "input",
})  # fmt: skip
"""Names that reach anything: the objects read through them cannot be listed."""
FILES = frozenset({"load", "loadtxt", "genfromtxt", "fromfile", "memmap"})
"""Names of functions of NumPy that read files."""
WORLD = frozenset({
    "os", "posix", "posixpath", "ntpath", "pathlib", "io", "shutil", "glob", "tempfile", "subprocess", "multiprocessing",
    "threading", "socket", "urllib", "http", "ctypes", "time", "datetime", "random", "secrets", "uuid", "platform",
    "locale",
})  # fmt: skip
"""Modules that read the world outside of a program: files, processes, clocks, the state of a generator."""
COMPUTING = frozenset({"getattr", "__dict__", "attrgetter", "__getattribute__"})
"""Names through which a member with a computed name may be read."""
HEAP = 1 << 9  # flag of a class that was made at run time
EMPTY = CellType()
OF_A_CLASS = frozenset(
    {
        "__dict__", "__weakref__", "__doc__", "__annotations__", "__match_args__", "__abstractmethods__",
        "__dataclass_fields__", "__dataclass_params__",  # the methods that were made of them are read
    }
)  # fmt: skip
PLAIN = (int, float, complex, str, bytes, Fraction, Decimal, range, np.generic, type(None), type(...), type(NotImplemented))


class Unreadable(Exception):
    """A function reaches an object whose state cannot be read."""


def fingerprint(things: Sequence[Any]) -> str:
    """A hash of ``things`` and all that they are made of. Raises Unreadable."""
    return hashlib.sha256("\n".join(_Reader().lines(things)).encode()).hexdigest()


def code_hash(function: Any) -> str:
    """A hash of the byte code of a function, without its references; of any other callable the name of its class."""
    return _code(function.__code__) if isinstance(function, FunctionType) else type(function).__qualname__


class _Reader:
    """Writes things as lines, each with the numbers of those it is made of; in an order that depends on them only."""

    def __init__(self) -> None:
        self.numbers: dict[int, int] = {}
        self.pending: deque[Any] = deque()
        self.kept: list[Any] = []  # keeps the things alive, so that no id is used twice

    def lines(self, things: Sequence[Any]) -> Iterator[str]:
        yield " ".join(map(self.name, things))
        while self.pending:
            look()
            thing = self.pending.popleft()
            yield f"#{self.numbers[id(thing)]} {self.described(thing)}"

    def name(self, thing: Any) -> str:
        """A plain value or an object of a library as text; any other object as its number."""
        kind = type(thing)
        if kind in PLAIN or kind is bool or isinstance(thing, np.generic):
            return f"{kind.__name__} {thing!r}"
        library_name = _named(thing)
        if library_name:
            if _root(library_name.removeprefix("module ")) in WORLD and thing is not Random:
                raise Unreadable(f"{library_name} may read the world outside of the program")
            return library_name
        number = self.numbers.get(id(thing))
        if number is None:
            number = self.numbers[id(thing)] = len(self.numbers)
            if number >= MAX_THINGS:
                raise Unreadable(f"more than {MAX_THINGS} things are reached")
            self.kept.append(thing)
            self.pending.append(thing)
        return f"#{number}"

    def names(self, things: Iterable[Any]) -> str:
        return "(" + ", ".join(map(self.name, things)) + ")"

    def items(self, mapping: Mapping[Any, Any]) -> str:
        return "{" + ", ".join(f"{self.name(key)}: {self.name(value)}" for key, value in mapping.items()) + "}"

    def described(self, thing: Any) -> str:
        """A thing as text, in terms of those that it is made of."""
        for kind, describe in DESCRIPTIONS:
            if isinstance(thing, kind):
                return describe(self, thing)
        wrapped = getattr(thing, "__wrapped__", None) if type(thing).__module__ == "functools" else None
        if wrapped is not None:
            return f"wrapped {self.name(wrapped)}"
        return f"{self.name(type(thing))} {self._content(thing)} {self.items(_state(thing))}"

    def _content(self, thing: Any) -> str:
        """The content of a container, beside the state that an object of any class has."""
        if isinstance(thing, np.ndarray):
            if thing.dtype.hasobject:
                return f"{thing.shape} {self.names(thing.ravel().tolist())}"
            return f"{thing.dtype} {thing.shape} {hashlib.sha256(thing.tobytes()).hexdigest()}"
        if isinstance(thing, (dict, MappingProxyType)):
            return self.items(thing)
        if isinstance(thing, (set, frozenset)):  # unordered: each element is hashed by itself
            return " ".join(sorted(fingerprint([element]) for element in thing))
        if isinstance(thing, (tuple, list, deque)):
            return self.names(thing)
        if isinstance(thing, (int, float, complex, str, bytes, Fraction, Decimal)):
            return f"{thing!r}"
        if isinstance(thing, Random):
            return str(thing.getstate())
        if not _is_open(type(thing)):
            raise Unreadable(f"the state of a {type(thing).__module__}.{type(thing).__qualname__} is hidden")
        return ""

    def function(self, function: FunctionType) -> str:
        names = {name for code in _codes(function.__code__) for name in (*code.co_names, *_words(code))}
        doors = sorted(names & (DOORS | FILES))
        if doors:
            raise Unreadable(f"{function.__qualname__} uses {doors[0]}, which may read the world outside of the program")
        outside = {name: function.__globals__[name] for name in sorted(names & function.__globals__.keys())}
        members: dict[str, Any] = {}
        loaded = {name: sys.modules[name] for name in sorted(names - outside.keys()) if name in sys.modules}
        loaded |= {name: _loaded(name) for name in sorted(_imports(function)) if not _known(name)}
        modules = [(name, value) for name, value in {**loaded, **outside}.items() if isinstance(value, ModuleType)]
        for path, module in modules:  # the list grows: a member of a module may be a module
            if _root(module.__name__) in LIBRARIES or len(modules) > MAX_THINGS:
                continue
            reached = [name for name in list(vars(module)) if not name.startswith("__")] if names & COMPUTING else names
            for name in sorted(reached):
                if name in vars(module) and f"{path}.{name}" not in members:
                    member = members[f"{path}.{name}"] = vars(module)[name]
                    if isinstance(member, ModuleType) and all(member is not listed for _, listed in modules):
                        modules.append((f"{path}.{name}", member))
        cells = [None if cell == EMPTY else cell.cell_contents for cell in function.__closure__ or ()]
        parts = (cells, function.__defaults__, function.__kwdefaults__, dict(function.__dict__))
        return (
            f"function {function.__module__} {function.__qualname__} {_code(function.__code__)} {_source(function)} "
            f"{self.items(outside)} {self.items(members)} {self._parts(parts)}"
        )

    def _parts(self, parts: Iterable[Any]) -> str:
        """Containers that are written in place, as they have no identity to keep."""
        texts = []
        for part in parts:
            if isinstance(part, dict):
                texts.append(self.items(part))
            else:
                texts.append(self.names(part or ()))
        return " ".join(texts)

    def class_(self, kind: type) -> str:
        if not _is_open(kind):
            raise Unreadable(f"the class {kind.__module__}.{kind.__qualname__} is not written in Python")
        members = {
            name: value
            for name, value in list(vars(kind).items())
            if name not in OF_A_CLASS and not isinstance(value, (GetSetDescriptorType, MemberDescriptorType))
            and not name.startswith("_abc_")
        }  # fmt: skip
        return f"class {kind.__module__} {kind.__qualname__} {self.names(kind.__bases__)} {self.items(members)}"


DESCRIPTIONS: tuple[tuple[type | tuple[type, ...], Callable[[_Reader, Any], str]], ...] = (
    (FunctionType, _Reader.function),
    (type, _Reader.class_),
    (MethodType, lambda r, method: f"method {r.names((method.__func__, method.__self__))}"),
    ((staticmethod, classmethod), lambda r, method: f"{type(method).__name__} {r.name(method.__func__)}"),
    (property, lambda r, x: f"property {r.names((x.fget, x.fset, x.fdel))}"),
    (functools.partial, lambda r, x: f"partial {r.names((x.func, x.args, x.keywords))}"),
    (functools.cached_property, lambda r, x: f"cached property {r.name(x.func)}"),
    ((BuiltinFunctionType, MethodWrapperType), lambda r, x: f"method {x.__name__} of {r.name(x.__self__)}"),
    (enum.Enum, lambda r, x: f"member {r.names((type(x), x.name, x.value))}"),
    (np.dtype, lambda r, x: f"dtype {x.name} {x.descr}"),
    (sympy.Basic, lambda r, x: f"sympy {sympy.srepr(x)}"),
    (ModuleType, lambda r, x: f"module {x.__name__} {_source(x)}"),
)
"""Descriptions of things by kind; the first kind that fits counts."""


def _words(code: CodeType) -> list[str]:
    """The strings in a code that may be names, as arguments of `getattr` are."""
    return [constant for constant in code.co_consts if isinstance(constant, str) and constant.isidentifier()]


def _imports(function: FunctionType) -> set[str]:
    """The absolute names of the modules that a function imports when it is called, and of the members that may be
    modules."""
    package = function.__globals__.get("__package__") or ""
    names = set()
    for level, module_name, members in _import_statements(function.__code__):
        name = resolve_name("." * level + module_name, package)
        module = sys.modules.get(name)
        names |= {name, *(f"{name}.{member}" for member in members if not hasattr(module, member))}
    return names


@functools.cache
def _import_statements(code: CodeType) -> tuple[tuple[int, str, tuple[str, ...]], ...]:
    """The import statements in a code and those nested in it: level, module and members. Cached, since disassembly is
    slow and a code never changes; the modules behind the names may."""
    statements = []
    for nested in _codes(code):
        steps = list(dis.get_instructions(nested))
        for level, names, step in zip(steps, steps[1:], steps[2:], strict=False):
            if step.opname == "IMPORT_NAME":
                statements.append((int(level.argval or 0), str(step.argval), tuple(names.argval or ())))
    return tuple(statements)


def _loaded(name: str) -> ModuleType:
    module = sys.modules.get(name)
    if module is None:
        raise Unreadable(f"the module {name}, which is imported when a function is called, is not there yet")
    return module


def _root(module: str) -> str:
    return module.partition(".")[0]


def _named(thing: Any) -> str:
    """The name of an object of a library, of Python, or of the checker, all of which enter by their versions or sources;
    else an empty string."""
    if isinstance(thing, ModuleType):
        return f"module {thing.__name__}" if _known(thing.__name__) else ""
    if isinstance(thing, np.ufunc):
        name = str(getattr(thing, "__name__", ""))
        for home in ("numpy", "scipy.special"):
            if getattr(sys.modules.get(home), name, None) is thing:
                return f"{home}.{name}"
        return ""
    if not isinstance(thing, type) and not callable(thing):
        return ""
    module = getattr(thing, "__module__", None)
    path = getattr(thing, "__qualname__", None) or getattr(thing, "__name__", None)
    if not isinstance(module, str) or not isinstance(path, str) or not _known(module):
        return ""
    value: Any = sys.modules.get(module)
    for part in path.split("."):
        value = getattr(value, part, None)
    return f"{module}.{path}" if value is thing else ""


@functools.cache
def _known(module: str) -> bool:
    return _root(module) in LIBRARIES or module in checker_modules()


def _is_open(kind: type) -> bool:
    """True if the state of objects of a class is all visible to Python: every class in its hierarchy was written in
    Python, or is a container that is read as such."""
    contained = (object, int, float, complex, str, bytes, tuple, list, dict, set, frozenset, deque, Fraction, BaseException)
    return all(base in contained or _written(base) for base in kind.__mro__)


def _written(kind: type) -> bool:
    """True if a class was written in Python. Libraries name some of theirs as if they were: those hold no functions."""
    if not kind.__flags__ & HEAP:
        return kind is SimpleNamespace
    module = sys.modules.get(kind.__module__)
    file = getattr(module, "__file__", None)
    if kind.__module__ != "__main__" and not (isinstance(file, str) and file.endswith((".py", ".pyc"))):
        return False
    if _root(kind.__module__) not in LIBRARIES:
        return True
    return kind is re.Pattern or any(isinstance(member, FunctionType) for member in list(vars(kind).values()))


def _state(thing: Any) -> dict[str, Any]:
    """The attributes of an object, in its dictionary and in slots, without cached properties. Other threads may add to a
    class meanwhile: its dictionary is copied at once."""
    kinds = type(thing).__mro__
    remembered = {
        name for kind in kinds for name, value in list(vars(kind).items()) if isinstance(value, functools.cached_property)
    }
    try:
        attributes = dict(object.__getattribute__(thing, "__dict__"))
    except AttributeError:
        attributes = {}
    for kind in kinds:
        for name, slot in list(vars(kind).items()):
            if isinstance(slot, MemberDescriptorType):
                try:
                    attributes[name] = slot.__get__(thing, type(thing))
                except AttributeError:
                    continue
    return {name: value for name, value in attributes.items() if name not in remembered}


def _codes(code: CodeType) -> list[CodeType]:
    """A code object and those nested in it (generator expressions, lambdas)."""
    return [code, *(inner for constant in code.co_consts if isinstance(constant, CodeType) for inner in _codes(constant))]


_hashes: dict[CodeType, str] = {}


def _code(code: CodeType) -> str:
    """A hash of byte code, constants and names: of the loaded code, not of the file, which may have changed."""
    digest = _hashes.get(code)
    if digest is None:
        parts = [code.co_code.hex(), code.co_names, code.co_varnames, code.co_cellvars, code.co_freevars, code.co_flags]
        parts += [_code(constant) if isinstance(constant, CodeType) else _constant(constant) for constant in code.co_consts]
        digest = _hashes[code] = hashlib.sha256(repr(parts).encode()).hexdigest()
    return digest


def _constant(value: Any) -> str:
    if isinstance(value, frozenset):
        return f"frozenset {sorted(map(repr, value))}"
    return repr(value)


_sources: dict[int, tuple[Any, str]] = {}


def _source(thing: Any) -> str:
    """A hash of the source of an object's module (helpers count too), or of the file of a compiled module; of an empty
    text where there is neither."""
    module = inspect.getmodule(thing)
    entry = _sources.get(id(module))
    if entry is None:
        try:
            content = inspect.getsource(module).encode() if module is not None else b""
        except (OSError, TypeError):
            content = _file_of(module)
        entry = _sources[id(module)] = (module, hashlib.sha256(content).hexdigest())
    return entry[1]


def _file_of(module: ModuleType | None) -> bytes:
    try:
        return Path(getattr(module, "__file__", None) or "").read_bytes()
    except OSError:
        return b""
