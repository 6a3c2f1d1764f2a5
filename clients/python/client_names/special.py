"""Special functions by their names."""

from client_names.row import Row

# fmt: off
# ruff: noqa: E501
UNARY = (
    Row("sigmoid special.expit nn.functional.sigmoid", "sigmoid", "The logistic function 1 / (1 + e⁻ˣ) of each element."),
    Row("erf special.erf",           "erf",       "The error function of each element."),
    Row("erfc special.erfc",         "erfc",      "1 - erf(x) of each element, accurate for large x."),
    Row("special.erfcx",             "erfcx",     "e^(x²) erfc(x) of each element, the scaled complementary error function."),
    Row("erfinv special.erfinv",     "erfinv",    "The inverse of the error function at each element."),
    Row("special.erfcinv",           "erfcinv",   "The inverse of erfc at each element.", follows="scipy.special.erfcinv"),
    Row("special.ndtr",              "ndtr",      "The normal distribution function Φ(x) of each element."),
    Row("special.log_ndtr",          "log_ndtr",  "ln Φ(x) of each element, accurate in both tails."),
    Row("special.ndtri",             "ndtri",     "The inverse of the normal distribution function at each element."),
    Row("lgamma special.gammaln",    "gammaln",   "ln |Γ(x)| of each element."),
    Row("special.gamma",             "gamma",     "Γ(x) of each element.", follows="scipy.special.gamma"),
    Row("digamma special.digamma special.psi", "digamma", "The derivative ψ(x) of ln Γ(x) at each element."),
    Row("special.entr",              "entr",      "-x ln x of each element, 0 at 0, -∞ below."),
    Row("i0 special.i0",             "i0",        "The modified Bessel function of the first kind of order 0."),
    Row("special.i0e",               "i0e",       "e^(-|x|) times the modified Bessel function of the first kind of order 0."),
    Row("special.i1",                "i1",        "The modified Bessel function of the first kind of order 1."),
    Row("special.i1e",               "i1e",       "e^(-|x|) times the modified Bessel function of the first kind of order 1."),
    Row("special.modified_bessel_k0 special.k0", "k0", "The modified Bessel function of the second kind of order 0."),
    Row("special.modified_bessel_k1 special.k1", "k1", "The modified Bessel function of the second kind of order 1."),
    Row("special.scaled_modified_bessel_k0 special.k0e", "k0e", "eˣ times the modified Bessel function of the second kind of order 0."),
    Row("special.scaled_modified_bessel_k1 special.k1e", "k1e", "eˣ times the modified Bessel function of the second kind of order 1."),
    Row("special.bessel_j0",         "j0",        "The Bessel function of the first kind of order 0."),
    Row("special.bessel_j1",         "j1",        "The Bessel function of the first kind of order 1."),
    Row("special.bessel_y0",         "y0",        "The Bessel function of the second kind of order 0."),
    Row("special.bessel_y1",         "y1",        "The Bessel function of the second kind of order 1."),
    # signatures of their own
    Row("logit special.logit",       "logit",     "ln(x / (1 - x)) of each element, which is first limited to [``eps``, 1 - ``eps``] if there is one.", "-", "eps: float | None = None"),
    Row("Tensor.polygamma",          "polygamma", "The derivative of order ``n`` of digamma at each element.", "-", "n: int"),
    Row("mvlgamma special.multigammaln", "multigammaln", "The logarithm of the multivariate gamma function of dimension ``p`` at each element.", "-", "p: int", "apply({op}, {x}, d=p)"),
)

BINARY = (
    Row("xlogy special.xlogy",       "xlogy",     "x ln(other), 0 where x is 0 and ``other`` is not nan."),
    Row("special.xlog1py",           "xlog1py",   "x ln(1 + other), 0 where x is 0 and ``other`` is not nan."),
    Row("special.zeta",              "zeta",      "The zeta function of Hurwitz, Σ (other + k)⁻ˣ over k >= 0. There is no derivative along x."),
    Row("igamma special.gammainc",   "gammainc",  "The regularised lower incomplete gamma function P(x, other). There is no derivative along x."),
    Row("igammac special.gammaincc", "gammaincc", "The regularised upper incomplete gamma function Q(x, other) = 1 - P(x, other). There is no derivative along x."),
    Row("special.beta",              "beta",      "The beta function Γ(x) Γ(other) / Γ(x + other).", follows="scipy.special.beta"),
    Row("special.betaln",            "betaln",    "The logarithm of the modulus of the beta function.", follows="scipy.special.betaln"),
)
# fmt: on
