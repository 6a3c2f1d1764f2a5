"""Mistakes that type checkers must report; nothing imports this file.

Each line expects an error of mypy and of pyright: a mistake that a checker overlooks leaves its comment unused, which is an
error itself.
"""

import gradproof.client as gp

x = gp.tensor([1.0, 2.0])

# names
x.sinn()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
x.bakward()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
x.requires_gard = True  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
gp.expp(x)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
gp.ops.expp(x)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
gp.tensor([1.0], dtype=gp.float65)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
x.sort().indexes  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]  # noqa: B018

# keywords
x.sum(dimm=0)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
gp.sum(x, dimm=0)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
gp.ops.sum(x, dim=0)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
x.var(ddof=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
x.softmax(axiss=0)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
x.add(x, aplha=2)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
x.topk(1, biggest=True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]

# how many arguments
x.exp(2)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
x.atan2()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
gp.gather(x, 0)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
gp.ops.reshape(x)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]

# types of arguments
x.sum(dim="rows")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
x.reshape("2")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
x.transpose(0, 1.0)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
x.mul("2")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
x.to(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
x.max("rows")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
x["rows"]  # type: ignore[index]  # pyright: ignore[reportArgumentType]
_ = x + "1"  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue]
_ = None * x  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue]
gp.exp(1.0)  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]
gp.cat(x)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

# results
number: float = x.exp()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
values, positions, rest = x.sort()  # type: ignore[misc]  # pyright: ignore[reportAssignmentType]
x.max(0).exp()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
gp.func.grad(gp.sum)(x).sinn()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
gp.autograd.grad(x, x)[0].sinn()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
x.register_hook(lambda gradient: gradient.sinn())  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
x.grad.sum()  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]
x.backward(1.0)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

# namespaces
gp.nn.functional.rellu(x)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
gp.special.erff(x)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
gp.linalg.det(x, 1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
gp.special.expit(1.0)  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]
gp.nn.functional.softmax(x, axis=0)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
gp.nn.functional.mse_loss(x, x, reduction="avg")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
gp.nn.functional.cross_entropy(x, x, label_smooting=0.1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
gp.nn.functional.leaky_relu(x, negative_slop=0.1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
gp.nn.functional.gelu(x, approximate="erf")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
gp.nn.functional.pad(x, (1, 1), mode="edge")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
gp.hstack(x, x)  # type: ignore[call-arg,arg-type]  # pyright: ignore[reportCallIssue]
gp.meshgrid(x, x, index="ij")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
x.index_add(0, x)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
x.roll(shift=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
x.kthvalue(1).value  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]  # noqa: B018
gp.linalg.vector_norm(x, "2")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
gp.special.polygamma(x, 1)  # type: ignore[type-var,arg-type]  # pyright: ignore[reportArgumentType]
gp.func.jacrve(gp.sum)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
gp.func.grad(gp.sum, argnum=0)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
gp.autograd.functional.jacobean(gp.sum, x)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
gp.nn.functional.relu(x, inplac=True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
gp.linalg.sovle(x, x)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
gp.nn.Linear(1, 2, bais=False)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
gp.optim.SGD([x], momentun=0.9)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
gp.optim.Adamm([x])  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]

# verdicts, formulas, pictures, clients
x.explain(x=1.0)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
x.explain(x=x).formulae  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]  # noqa: B018
x.graph().unfolded()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
gp.Client("localhost:1", timout=1.0)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
gp.Client("localhost:1").ops(timout=1.0)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
gp.Client("localhost:1").verify_op("exp", progres=True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
gp.__verison__  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]  # noqa: B018
