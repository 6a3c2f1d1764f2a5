"""The page of names that are absent, docs/absent.md, by the catalogues of five libraries. Run by `make pages`.

A catalogue lists the public functions of arrays of a library: the Array API standard 2024.12 (array-api-strict 2.6),
PyTorch 2.13 (``torch``, ``torch.nn.functional``, ``torch.special``; without functions that write in place, and those of
devices, quantisation, sparse tensors and tracing), and SciPy 1.17.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradproof.client as gp
from gradproof.engine.registry import Registry, build_registry
from gradproof.plugins import BUILTIN

CATALOGUES = Path(__file__).parent / "catalogues"
PAGE_PATH = Path(__file__).parents[1] / "absent.md"
HEAD = """# Functions that are absent

Names of the Array API standard, of PyTorch and of SciPy that Gradproof has not, and why. A name counts as present if it is
an op of the server, or a name of the client: of `gradproof.client`, its namespaces (`nn.functional`, `linalg`, `special`),
or its tensors; a name of the Array API standard if `gradproof.client.array_api` has it. The page is generated
(`make pages`), and a test holds that every name is present or has its reason here.
"""
LIBRARIES = {
    "array_api": "Array API standard",
    "torch": "torch",
    "torch_nn_functional": "torch.nn.functional",
    "torch_special": "torch.special",
    "scipy_special": "scipy.special",
}


def names(catalogue: str) -> list[str]:
    """The names in a catalogue."""
    return (CATALOGUES / f"{catalogue}.txt").read_text(encoding="utf-8").split()


def is_present(registry: Registry, catalogue: str, name: str) -> bool:
    """True if a name, with the namespace that it has within its library, is an op or a name of the client."""
    *path, last = name.split(".")
    if catalogue == "array_api":
        return hasattr(getattr(gp.array_api, ".".join(path), None) if path else gp.array_api, last)
    places: list[Any] = [gp, gp.Tensor, gp.nn.functional, gp.special, gp.linalg]
    places += [getattr(gp, space) for space in path if hasattr(gp, space)]
    return last in registry.ops or any(hasattr(place, last) for place in places)


def reason(catalogue: str, name: str) -> str:
    """Why a name is absent; empty if no reason is stated."""
    for library, pattern, text in REASONS:
        if library in ("", catalogue) and re.fullmatch(pattern, name):
            return text
    return ""


def page(registry: Registry) -> str:
    """The text of the page."""
    return "\n".join([HEAD, *(section for key in LIBRARIES for section in _section(registry, key))])


def _section(registry: Registry, catalogue: str) -> Iterator[str]:
    listed = names(catalogue)
    absent: defaultdict[str, list[str]] = defaultdict(list)
    for name in listed:
        if not is_present(registry, catalogue, name):
            absent[reason(catalogue, name)].append(name)
    count = len(listed) - sum(map(len, absent.values()))
    yield f"## {LIBRARIES[catalogue]}\n\n{count} of {len(listed)} names are here. The others:\n"
    yield "| names | why |\n|---|---|"
    for text, group in sorted(absent.items()):
        yield f"| {', '.join(f'`{name}`' for name in group)} | {text} |"
    yield ""


def main() -> None:
    """Write the page."""
    PAGE_PATH.write_text(page(build_registry(BUILTIN)), encoding="utf-8")


REASONS: tuple[tuple[str, str, str], ...] = (
    (
        "",
        r"bernoulli|binomial|multinomial|normal|poisson|randint_like|seed|initial_seed|rrelu|gumbel_softmax|.*dropout[123]?d?|"
        r"fractional_max_pool\w+",
        "draws random numbers, and a graph is a function of its leaves: draw with NumPy, and give the numbers to a leaf",
    ),
    (
        "",
        r"nonzero|argwhere|unique\w*|bincount|histc|histogram\w*|combinations|msort|.*_zeros",
        "the shape of the result, or the count of what is summed, depends on values, which a graph does not know",
    ),
    (
        "",
        r"asarray|can_cast|finfo|iinfo|isdtype|result_type|promote_types|broadcast_shapes|is_tensor|load|save|frombuffer|"
        r"resolve_conj|resolve_neg|isreal|geterr|seterr",
        "is about dtypes, memory or files, not a function of tensors: NumPy has it",
    ),
    ("", r"as_strided|view_as_\w+|fill", "is about the memory of a tensor, which lies at the server"),
    ("", r"(fft\.)?[ir]*h?fft\w*|stft|istft|\w+_window|fft\..*", "not yet: transforms"),
    (
        "",
        r"(linalg\.)?(eig\w*|svd\w*|qr|pinv\w*|lstsq|lu\w*|matrix_(rank|exp)|slogdet|logdet|tensordot|matrix_norm|cross|multi_dot)|"
        r"cholesky_\w+|geqrf|orgqr|ormqr|chain_matmul|cov|corrcoef|renorm",
        "not yet: decompositions and products of linear algebra",
    ),
    (
        "",
        r"conv\w+|\w*pool\d?d?\w*|\w+_norm|fold|unfold|interpolate|upsample\w*|grid_sample|affine_grid|pixel_\w+|channel_shuffle|"
        r"scaled_dot_product_attention|linear|bilinear|embedding_bag|linear_cross_entropy|pdist",
        "not yet: convolutions, pools and layers",
    ),
    ("", r"ctc_loss|triplet_margin_with_distance_loss", "not yet: needs a recursion over time, or a function of the user"),
    ("", r"gcd|lcm|frexp|ldexp|isin|vander|mode", "not yet: few gradients flow through it"),
    (
        "scipy_special",
        r"\w*(bdtr|btdtri|chdtr|chndtr|fdtr|gdtr|nbdtr|ncfdtr|nctdtr|nrdtri|pdtr|stdtr|smirnov|kolmog)\w*",
        "a distribution function: not yet",
    ),
    (
        "scipy_special",
        r"(eval_|roots_|sh_)?\w*(cheby\w|gegenbauer|laguerre|hermite\w*|jacobi|legendre\w*)\w*|\w+_roots|lpmv|lqm?n|sph_harm_y\w*",
        "orthogonal polynomials, their roots and weights: not yet",
    ),
    (
        "torch_special",
        r"\w*(chebyshev|hermite|laguerre|legendre)_polynomial\w*",
        "orthogonal polynomials: not yet",
    ),
    (
        "scipy_special",
        r"comb|perm|factorial\w*|stirling2|bernoulli|euler|binom|poch|\w+_seq|sici|shichi",
        "combinatorics, and sequences of numbers: not yet",
    ),
    (
        "torch",
        r"conj_physical|range|logspace|tril_indices|triu_indices|unravel_index|gradient",
        "other names say it: `conj`, `arange`, `10 ** linspace`, indices made by NumPy, differences of slices",
    ),
    ("torch", r"index_reduce|scatter_reduce", "not yet: the sums of these are `index_add` and `scatter_add`"),
    ("torch_special", r"modified_bessel_i[01]", "`i0` and `i1` are these functions"),
    (
        "",
        r"[ijky]ve|spherical_\w+|airy\w*|[jky]n|kve?|[ijky]vp|h[12]vp|hankel\w+|"
        r"(mod)?struve|lmbda|riccati_\w+|besselpoly|i?t?2?\w*(j0y0|i0k0|struve0)|itairy|kelvin|(be|ke)[ir]p?|(be|ke)rp?",
        "Bessel functions of other kinds and orders, and functions made of them: not yet",
    ),
    (
        "scipy_special",
        r"ellip\w+|agm|mathieu_\w+|(obl|pro)_\w+|pb\w+|hyp\w+|\w*wright\w*|lambertw|wofz|voigt_profile|fresnel|modfresnel[mp]|"
        r"dawsn|erfi|exp[1in]|expn|owens_t|spence|diric|tklmbda|loggamma",
        "functions of physics and of complex analysis: not yet",
    ),
    (
        "scipy_special",
        r"beta?inc\w*|gammainc\w+inv|gammaincinv|ndtri_exp|zetac|rgamma|gammasgn",
        "relatives of functions that are here: not yet",
    ),
    (
        "scipy_special",
        r"(inv_)?boxcox1?p?|pseudo_huber|huber|rel_entr|log_expit|exprel|powm1|cosm1|exp10|\w\w\wdg|radian",
        "a line of ops that are here; some need an op of their own to keep their digits near 0",
    ),
)
"""Reasons by catalogue (empty: any), and by a pattern of whole names; the first that fits counts."""

if __name__ == "__main__":
    main()
