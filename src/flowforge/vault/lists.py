"""What the lists of secrets, variables and their uses can be asked for."""

from typing import Final

from flowforge.web.short_lists import ShortForm, short_moment, short_text

SECRETS: Final = ShortForm(
    "secrets",
    filters={"name": short_text(lambda secret: secret.name), "updated_at": short_moment(lambda secret: secret.updated_at_ms)},
    sorts={"name": lambda secret: secret.name, "updated_at": lambda secret: (secret.updated_at_ms, secret.name)},
    default="name",
    search={"name": lambda secret: secret.name},
)
VARIABLES: Final = ShortForm(
    "variables",
    filters={
        "name": short_text(lambda variable: variable.name),
        "updated_at": short_moment(lambda variable: variable.updated_at_ms),
    },
    sorts={"name": lambda variable: variable.name, "updated_at": lambda variable: (variable.updated_at_ms, variable.name)},
    default="name",
    search={"name": lambda variable: variable.name},
)
USES: Final = ShortForm("uses", filters={"workflow": short_text(lambda use: use.workflow)})
