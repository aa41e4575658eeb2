"""`file.gunzip`."""

from flowforge.operations import Example, Nature, OperationContext, operation
from flowforge.steps.file.packing import GROWTH_ERRORS, PACK_ERRORS, TargetParameters, explain_packing
from flowforge.steps.file.passing import MadeFile, SourceParameters, name_target, open_source, open_target


class GunzipParameters(TargetParameters, SourceParameters):
    """Which file to unpack, and where to."""


@operation(
    "file.gunzip",
    title="Unpack a gzip file",
    category="file",
    icon="file-archive",
    nature=Nature.HEAVY,
    errors=(*PACK_ERRORS, *GROWTH_ERRORS),
    target=name_target,
    examples=(
        Example(
            "Unpack a file beside the packed one",
            {"path": "packed/hello.txt.gz", "to": "packed/hello.txt"},
            {"file": None, "root": "work", "path": "packed/hello.txt", "size": 5},
        ),
    ),
)
def gunzip(parameters: GunzipParameters, context: OperationContext) -> MadeFile:
    """Unpacks a gzip file (RFC 1952), also one of several parts. A damaged one leaves nothing behind.

    It ends when more comes out than LIMIT_ZIP_TOTAL, or than LIMIT_ZIP_RATIO times what went in.
    """
    # Start-up cost: as in `explain_packing`.
    from flowforge.kit.archives import gunzip_pieces

    with explain_packing():
        file, name = open_source(context, parameters)
        bare = name.removesuffix(".gz") if not name.endswith(".tgz") else name.removesuffix(".tgz") + ".tar"
        with (
            file,
            open_target(
                context, parameters.to_root or parameters.root, parameters.to, name=bare or "file", mode=parameters.mode
            ) as target,
        ):
            for piece in gunzip_pieces(file, context.limits):
                target.write(piece)
            return target.finish()
