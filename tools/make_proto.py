"""Is the generated protobuf code what its sources say? Writes it beside them, or compares.

    python -m tools.make_proto [--check]

For each .proto under proto/titanflow the compiler of grpcio-tools writes `_pb2.py` and `_pb2.pyi`,
and for each that has a service `_pb2_grpc.py`; we write its `_pb2_grpc.pyi`, since the compiler has
none. Stubs are typed for grpc.aio. Generated files that no source asks for are removed.
`--check` changes nothing, names what is stale and ends with 1 if something is.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from importlib import resources
from pathlib import Path

from google.protobuf.descriptor_pb2 import (
    FileDescriptorProto,
    FileDescriptorSet,
    ServiceDescriptorProto,
)

from tools.tree import ROOT

PROTO = ROOT / "proto"
GENERATED = ("_pb2.py", "_pb2.pyi", "_pb2_grpc.py", "_pb2_grpc.pyi")


def sources(root: Path = PROTO) -> list[str]:
    """Return the names of all .proto files, from *root* with slashes, sorted."""
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*.proto"))


def compile_protos(root: Path, *options: str) -> None:
    """Run the compiler over every source under *root*.

    Raises: RuntimeError if it refuses; it has then said why on stderr.
    """
    from grpc_tools import protoc

    shared = str(resources.files("grpc_tools") / "_proto")
    status = protoc.main(["protoc", f"-I{root}", f"-I{shared}", *options, *sources(root)])
    if status:
        raise RuntimeError(f"protoc ended with {status}")


def describe(root: Path = PROTO) -> FileDescriptorSet:
    """Return the descriptors of every source under *root*."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "set.binpb"
        compile_protos(root, f"--descriptor_set_out={target}")
        return FileDescriptorSet.FromString(target.read_bytes())


def generate(root: Path = PROTO) -> dict[str, str]:
    """Return the text of every generated file by its name from *root*."""
    with tempfile.TemporaryDirectory() as folder:
        outputs = [f"--{kind}_out={folder}" for kind in ("python", "pyi", "grpc_python")]
        compile_protos(root, *outputs)
        texts = {
            path.relative_to(folder).as_posix(): _mend(path.read_text("utf-8"))
            for path in sorted(Path(folder).rglob("*.py*"))
        }
    described = describe(root)
    modules = {
        f".{file.package}.{message.name}": file.name
        for file in described.file
        for message in file.message_type
    }
    for file in described.file:
        name = file.name.removesuffix(".proto")
        if file.service:
            texts[f"{name}_pb2_grpc.pyi"] = draw_stub(file, modules)
        else:
            texts.pop(f"{name}_pb2_grpc.py", None)
    return texts


def _mend(text: str) -> str:
    """Return what the compiler wrote, as our own rules want it."""
    # A bare Mapping is not strict; what is meant are the arguments of a constructor.
    text = text.replace("_Mapping]", "_Mapping[str, object]]")
    # A comment one column from the margin belongs to nothing.
    return text.replace(" # This class is part of an EXPERIMENTAL API.\n", "")


def draw_stub(file: FileDescriptorProto, modules: dict[str, str]) -> str:
    """Return the types of one file's services, for grpc.aio; *modules* gives a message's file."""
    used = sorted(
        {
            modules[kind]
            for service in file.service
            for method in service.method
            for kind in (method.input_type, method.output_type)
        }
    )
    lines = ["# Written by tools.make_proto. DO NOT EDIT!"]
    lines += ["from collections.abc import AsyncIterator", "", "import grpc", "import grpc.aio", ""]
    for name in used:
        folder, _, stem = name.removesuffix(".proto").replace("/", ".").rpartition(".")
        lines.append(f"from {folder} import {stem}_pb2 as _{stem}_pb2")
    for service in file.service:
        lines += _draw_service(service, modules)
    return "\n".join(lines) + "\n"


def _draw_service(service: ServiceDescriptorProto, modules: dict[str, str]) -> list[str]:
    def named(kind: str) -> str:
        stem = Path(modules[kind]).stem
        return f"_{stem}_pb2.{kind.rpartition('.')[2]}"

    stub = [
        f"class {service.name}Stub:",
        "    def __init__(self, channel: grpc.aio.Channel) -> None: ...",
    ]
    servicer = [f"class {service.name}Servicer:"]
    for method in service.method:
        if method.client_streaming:
            raise NotImplementedError(f"{service.name}.{method.name} streams its requests")
        asked, said = named(method.input_type), named(method.output_type)
        kind = "UnaryStream" if method.server_streaming else "UnaryUnary"
        stub.append(f"    {method.name}: grpc.aio.{kind}MultiCallable[{asked}, {said}]")
        begin = "def" if method.server_streaming else "async def"
        result = f"AsyncIterator[{said}]" if method.server_streaming else said
        servicer += [
            f"    {begin} {method.name}(",
            f"        self, request: {asked}, context: grpc.aio.ServicerContext[{asked}, {said}]",
            f"    ) -> {result}: ...",
        ]
    add = [
        f"def add_{service.name}Servicer_to_server(",
        f"    servicer: {service.name}Servicer, server: grpc.aio.Server",
        ") -> None: ...",
    ]
    return ["", *stub, "", *servicer, "", *add]


def present(root: Path = PROTO) -> dict[str, str]:
    """Return the text of every generated file that stands under *root*."""
    return {
        path.relative_to(root).as_posix(): path.read_text("utf-8")
        for path in sorted(root.rglob("*_pb2*.py*"))
        if path.name.endswith(GENERATED)
    }


def stale(root: Path = PROTO) -> list[str]:
    """Return the names of generated files that are missing, different or asked for by no source."""
    wanted, found = generate(root), present(root)
    return sorted(
        name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name)
    )


def main() -> int:
    """Write or compare, and say what changed."""
    parser = argparse.ArgumentParser(description="Write the generated protobuf code.")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if stale")
    options = parser.parse_args()
    names = stale()
    wanted = generate() if names and not options.check else {}
    for name in names:
        print(f"stale: {name}" if options.check else f"written: {name}")
        if options.check:
            continue
        if name in wanted:
            (PROTO / name).write_text(wanted[name], "utf-8")
        else:
            (PROTO / name).unlink()
    return 1 if names and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
