"""Regenerate the committed stubs from the .proto files: ``python proto/generate.py [OUT]`` (default: in place)."""

import sys
from pathlib import Path

import grpc_tools
from grpc_tools import protoc

ROOT = Path(__file__).parent
IMPORTS = (ROOT, ROOT / "third_party", Path(grpc_tools.__path__[0]) / "_proto")
"""Directories of the contract, of google.rpc, and of protobuf's own files."""


def generate(out: Path) -> None:
    """Write messages, services and their type stubs below ``out``. Raises RuntimeError if protoc fails."""
    sources = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("gradproof/v1/*.proto"))
    outputs = [f"--{kind}_out={out}" for kind in ("python", "grpc_python")]
    for kind in ("mypy", "mypy_grpc"):
        program = Path(sys.executable).with_name(f"protoc-gen-{kind}")
        outputs += [f"--plugin=protoc-gen-{kind}={program}", f"--{kind}_out=quiet:{out}"]
    if protoc.main(["protoc", *(f"--proto_path={path}" for path in IMPORTS), *outputs, *sources]):
        raise RuntimeError("protoc failed")
    for path in out.glob("gradproof/v1/*_pb2_grpc.py*"):
        if "_service_" not in path.name:
            path.unlink()  # files without a service hold nothing


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT)
