"""What can go wrong with templates."""

from flowforge.kit.errors import AlreadyExistsError, Detail, NotFoundError, ValidationError


class TemplateNotFoundError(NotFoundError):
    def __init__(self, subject: str) -> None:
        message = f"There is no template {subject}; GET /templates lists those that exist."
        super().__init__(message, [Detail("", message, "template_unknown")])


class TemplateNameTakenError(AlreadyExistsError):
    def __init__(self, kind: str, name: str) -> None:
        message = f"There is another template for a {kind} of the name {name}; take another name."
        super().__init__(message, [Detail("name", message, "name_taken")])


class TemplateInvalidError(ValidationError):
    """The content of a template, or the data for it, cannot be used."""

    def __init__(self, field: str, message: str, code: str, line: int | None = None) -> None:
        super().__init__(message, [Detail(field, message, code, line)])
