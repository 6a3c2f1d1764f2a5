"""Definitions of reductions: of each element, and of whole arrays."""

from gradproof.plugins.axes import count, line, members

# of an element


def product(terms):
    result = 1
    for term in terms:
        result = result * term
    return result


def largest(f, terms):
    result = next(terms)
    for term in terms:
        result = f.where(f.less(result, term), term, result)
    return result


def smallest(f, terms):
    result = next(terms)
    for term in terms:
        result = f.where(f.less(term, result), term, result)
    return result


def var_define(f, i, x, *, axis, correction, keepdims):
    terms = list(members(i, x, axis, keepdims))
    centre = f.total(terms) / len(terms)
    return f.total((term - centre) * (term - centre) for term in terms) / (len(terms) - correction)


def softmax_define(f, i, x, *, axis):
    # Of differences: the quotient of e^800 and a sum of such is the same number, with wider balls.
    return 1 / f.total(f.exp(other - x[i]) for other in line(i, x, axis))


def log_softmax_define(f, i, x, *, axis):
    return -f.log(f.total(f.exp(other - x[i]) for other in line(i, x, axis)))


# of whole arrays


def var_arrays(f, x, *, axis, correction, keepdims):
    """About any constant, by Σ (x - c)² - n (mean - c)²; little cancels where the constant is close to the mean."""
    away = x - f.anchor(x, axis, near="mean")
    whole = f.total(away, axis, keepdims)
    n = count(x, axis)
    return (f.total(away * away, axis, keepdims) - whole * whole / n) / (n - correction)


def above_one(f, x, axis):
    """An element of each line, and Σ eˣ less 1 where it is taken from all."""
    one, top = f.one_of(x, axis)
    there, x = f.finite(x)
    return top, f.total(f.where(one, 0, f.where(there, f.exp(x - top), 0)), axis, keepdims=True)


def logsumexp_arrays(f, x, *, axis, keepdims):
    top, rest = above_one(f, x, axis)
    return f.total(top + f.log1p(rest), axis, keepdims)


def softmax_arrays(f, x, *, axis):
    anchor = f.anchor(x, axis)
    there, x = f.finite(x)
    parts = f.where(there, f.exp(x - anchor), 0)
    return parts / f.total(parts, axis, keepdims=True)


def log_softmax_arrays(f, x, *, axis):
    top, rest = above_one(f, x, axis)
    return x - top - f.log1p(rest)
