"""Sums of products by letters: random equations against NumPy, derivatives against the definition, and what is refused."""

from __future__ import annotations

import math
from random import Random
from string import ascii_letters

import numpy as np
import pytest
from tests.conftest import REGISTRY, Bench

from gradproof.engine.extend import InferenceError
from gradproof.engine.spec import Array, spec_of

SHAPES = [1, 2, 3, 4, 5]


def einsum(bench: Bench, text: str, *operands: Array) -> Array:
    leaves = {f"x{k}": x for k, x in enumerate(operands)}
    return bench.values(leaves, [(f"y = einsum({', '.join(leaves)})", {"subscripts": text})], "y")["y"]


def equation(random: Random) -> tuple[str, list[tuple[int, ...]]]:
    """An equation of up to five operands, with repeated letters, ellipses, and sizes 0 and 1; and shapes that fit it."""
    letters = "abcdefAB"[: random.randint(1, 7)]
    sizes = {letter: random.choice([0, *SHAPES] if random.random() < 0.2 else SHAPES) for letter in letters}
    behind = [random.choice([1, 2, 3]) for _ in range(2)]
    terms, shapes = [], []
    for _ in range(random.choice([1, 1, 2, 2, 2, 3, 3, 4, 5])):
        term = [random.choice(letters) for _ in range(random.randint(0, 4))]
        own = {letter: 1 if random.random() < 0.15 else sizes[letter] for letter in term}
        shape = [own[letter] for letter in term]
        if random.random() < 0.3:
            place, width = random.randint(0, len(term)), random.randint(0, 2)
            shape[place:place] = [1 if random.random() < 0.3 else size for size in behind[2 - width :]]
            term.insert(place, "...")
        terms.append("".join(term))
        shapes.append(tuple(shape))
    text = ",".join(terms)
    if random.random() < 0.3:
        return text, shapes
    known = sorted({letter for letter in text if letter.isalpha()})
    output = random.sample(known, random.randint(0, len(known)))
    if "..." in text:
        output.insert(random.randint(0, len(output)), "...")
    return f"{text} -> {''.join(output)}", shapes


def test_random_equations_give_what_numpy_gives(bench: Bench) -> None:
    random, noise = Random(3), np.random.default_rng(3)
    for _ in range(150):
        text, shapes = equation(random)
        operands = [noise.standard_normal(shape) for shape in shapes]
        result = einsum(bench, text, *operands)
        expected = np.einsum(text, *operands)
        assert result.shape == expected.shape, (text, shapes)
        np.testing.assert_allclose(result, expected, rtol=1e-10, atol=1e-10, err_msg=f"{text} {shapes}")


def test_gradients_are_what_a_product_of_sums_says(bench: Bench) -> None:
    """A sum of products is linear in each operand: <gradient, v> is <seed, einsum(..., v, ...)>, without a step size."""
    random, noise = Random(5), np.random.default_rng(5)
    for _ in range(30):
        text, shapes = equation(random)
        operands = [noise.standard_normal(shape) for shape in shapes]
        seed = noise.standard_normal(np.einsum(text, *operands).shape)
        gradients = bench.apply("einsum", operands, {"subscripts": text}, [seed])
        for k, (gradient, shape) in enumerate(zip(gradients, shapes, strict=True)):
            v = noise.standard_normal(shape)
            expected = np.sum(seed * np.einsum(text, *operands[:k], v, *operands[k + 1 :]))
            np.testing.assert_allclose(np.sum(gradient * v), expected, rtol=1e-9, atol=1e-9, err_msg=f"{text} {shapes}")


@pytest.mark.parametrize("dtype", ["float16", "float32", "complex128", "int32", "bool"])
def test_dtypes_stay(bench: Bench, dtype: str) -> None:
    a, b = np.ones((2, 3), dtype), np.ones((3, 4), dtype)
    result = einsum(bench, "ij,jk->ik", a, b)
    assert result.dtype == a.dtype
    np.testing.assert_array_equal(result, np.einsum("ij,jk->ik", a, b))


def test_a_chain_is_multiplied_from_the_cheaper_end() -> None:
    """(50, 50) (50, 50) (50,) by pairs: two products of a matrix and a vector, none of matrices."""
    specs = [spec_of(np.zeros(shape)) for shape in ((50, 50), (50, 50), (50,))]
    program = REGISTRY.op("einsum").expand(specs, {"subscripts": "ij,jk,k->i"})
    assert program is not None
    shapes = [program.specs[step.outputs[0]].shape for step in program.instructions]
    assert [step.op.name for step in program.instructions] == ["matmul", "matmul"]
    assert shapes == [(50,), (50,)]


def test_more_axes_than_letters(bench: Bench) -> None:
    """52 letters, and 3 axes behind ellipses: the products are taken as they are written."""
    noise = np.random.default_rng(1)
    operands = [noise.standard_normal((2, *(1,) * 12, 2, 1, 3)) for _ in range(4)]
    text = ",".join(f"{ascii_letters[k : k + 13]}..." for k in range(0, 52, 13)) + "->..."
    expected = math.prod(x.sum(axis=tuple(range(13))) for x in operands)
    np.testing.assert_allclose(einsum(bench, text, *operands), expected, rtol=1e-12)


REFUSED = {
    "ij,jk": "subscript j has size 4 for operand 1 which does not broadcast with previously seen size 3",
    "ii,jk": "subscript i is repeated for operand 0 but the sizes don't match, 3 != 2",
    "i...,...": "subscript ... has size 4 for operand 1 which does not broadcast with previously seen size 3",
    "i.j,kl": "found '.' for operand 0 that is not part of any ellipsis",
    "......,kl": "found '.' for operand 0 for which an ellipsis was already found",
    "ij": "more operands were provided than specified in the equation",
    "ij,jk,k": "fewer operands were provided than specified in the equation",
    "ij,k1": "invalid subscript given at index 4 in the equation string, subscripts must be in [a-zA-Z]",
    "ij,kl->i.": "found '.' for output that is not part of any ellipsis (...)",
    "ij,kl->......": "found '.' for output but an ellipsis (...) was already found",
    "ij,kl->,": "invalid subscript given at index 7 in the equation string, subscripts must be in [a-zA-Z]",
    "ij,kl->ii": "output subscript i appears more than once in the output",
    "ij,kl->m": "output subscript m does not appear in the equation for any input operand",
    "ij,klm": "the number of subscripts in the equation (3) does not match the number of dimensions (2) for operand 1 and "
    "no ellipsis was given",
    "ij,kl...m": "the number of subscripts in the equation (3) is more than the number of dimensions (2) for operand 1",
}


@pytest.mark.parametrize("text", REFUSED)
def test_an_equation_that_does_not_fit_is_refused_with_the_text_of_pytorch(text: str) -> None:
    specs = [spec_of(np.zeros(shape)) for shape in ((2, 3), (4, 4))]
    with pytest.raises(InferenceError) as caught:
        REGISTRY.op("einsum").inference(specs, {"subscripts": text})
    assert str(caught.value) == f"einsum(): {REFUSED[text]}"


def test_subscripts_are_a_text() -> None:
    operand: Array = np.zeros(2)
    with pytest.raises(InferenceError, match="subscripts is 3; it must be a text"):
        REGISTRY.op("einsum").inference([spec_of(operand)], {"subscripts": 3})
