"""`file.gzip`."""

from pydantic import Field

from flowforge.operations import Example, Nature, OperationContext, operation
from flowforge.steps.file.packing import PACK_ERRORS, TargetParameters, explain_packing
from flowforge.steps.file.passing import MadeFile, SourceParameters, name_target, open_source, open_target


class GzipParameters(TargetParameters, SourceParameters):
    """Which file to pack, and where to."""

    level: int = Field(default=6, ge=1, le=9, description="How hard to try: 1 is fast, 9 gives the smallest file.")


@operation(
    "file.gzip",
    title="Pack a file with gzip",
    category="file",
    icon="file-archive",
    nature=Nature.HEAVY,
    errors=PACK_ERRORS,
    target=name_target,
    examples=(
        Example(
            "Pack a file beside the original",
            {"path": "greetings/hello.txt", "to": "greetings/hello.txt.gz"},
            {"file": None, "root": "work", "path": "greetings/hello.txt.gz", "size": 25},
        ),
    ),
)
def gzip(parameters: GzipParameters, context: OperationContext) -> MadeFile:
    """Packs one file with gzip (RFC 1952). The same content gives the same bytes: neither name nor time are kept in it."""
    # Start-up cost: as in `explain_packing`.
    from flowforge.kit.archives import gzip_pieces

    with explain_packing():
        file, name = open_source(context, parameters)
        with (
            file,
            open_target(
                context,
                parameters.to_root or parameters.root,
                parameters.to,
                name=f"{name}.gz",
                mode=parameters.mode,
                media_type="application/gzip",
            ) as target,
        ):
            gzip_pieces(file, target, parameters.level)
            return target.finish()
