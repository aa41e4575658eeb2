"""What can go wrong with subscriptions, deliveries and notifications."""

from flowforge.kit.errors import ConflictError, Detail, NotFoundError, ValidationError


class SubscriptionNotFoundError(NotFoundError):
    def __init__(self, subscription_id: str) -> None:
        message = f"There is no event subscription {subscription_id}."
        super().__init__(message, [Detail("", message, "subscription_unknown")])


class DeliveryNotFoundError(NotFoundError):
    def __init__(self, delivery_id: str) -> None:
        message = f"There is no delivery {delivery_id} of this subscription."
        super().__init__(message, [Detail("", message, "delivery_unknown")])


class DeliveryStateError(ConflictError):
    """Only a dead letter can be delivered again."""

    def __init__(self, delivery_id: str, status: str) -> None:
        message = f"The delivery {delivery_id} is {status}; only a dead letter can be delivered again."
        super().__init__(message, [Detail("", message, "delivery_state")])


class NotificationNotFoundError(NotFoundError):
    def __init__(self, notification_id: str) -> None:
        message = f"There is no notification {notification_id} for you."
        super().__init__(message, [Detail("", message, "notification_unknown")])


class SubscriptionInvalidError(ValidationError):
    """A URL or a type that cannot be used."""

    def __init__(self, field: str, message: str, reason: str) -> None:
        super().__init__(message, [Detail(field, message, reason)])
