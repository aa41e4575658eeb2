"""Operations as they stand in answers."""

from pydantic import Field

from flowforge.operations.definition import Operation
from flowforge.operations.registry import Registry
from flowforge.web.bodies import Answer, JsonField


class OperationRow(Answer):
    """What a list tells of an operation."""

    name: str = Field(examples=["crypto.hash"])
    title: str
    category: str
    nature: str = Field(description="pure (no effect outside), effect, or heavy (an effect that computes).")
    version: int
    package: str


class OperationError(Answer):
    code: str
    meaning: str
    retryable: bool


class OperationExample(Answer):
    title: str
    parameters: JsonField
    result: JsonField


class OperationAnswer(OperationRow):
    """The reference of one operation."""

    description: str
    icon: str
    ports: list[str]
    parameters: JsonField = Field(description="JSON Schema (2020-12).")
    result: JsonField = Field(description="JSON Schema (2020-12).")
    secret_parameters: list[str] = Field(description="Where `${{ secrets.NAME }}` may stand.")
    errors: list[OperationError]
    examples: list[OperationExample]


class SchemaAnswer(Answer):
    """JSON Schemas (2020-12) of an operation's parameters and result."""

    parameters: JsonField
    result: JsonField


class ParametersAnswer(Answer):
    """Whether the operation could be called with these parameters; nothing was called."""

    valid: bool
    errors: list[JsonField]


class DetachedAnswer(Answer):
    """The run that calls it."""

    run_id: str
    status: str


def describe_row(registry: Registry, operation: Operation) -> OperationRow:
    return OperationRow(
        name=operation.name,
        title=operation.title,
        category=operation.category,
        nature=operation.nature.value,
        version=operation.version,
        package=registry.get_source(operation.name),
    )


def describe_operation(registry: Registry, operation: Operation) -> OperationAnswer:
    return OperationAnswer(
        **describe_row(registry, operation).model_dump(),
        description=operation.description,
        icon=operation.icon,
        ports=list(operation.ports),
        parameters=operation.parameters_schema,
        result=operation.result_schema,
        secret_parameters=sorted(operation.secret_parameters),
        errors=[OperationError(code=error.code, meaning=error.meaning, retryable=error.retryable) for error in operation.errors],
        examples=[
            OperationExample(title=example.title, parameters=example.parameters, result=example.result)
            for example in operation.examples
        ],
    )
