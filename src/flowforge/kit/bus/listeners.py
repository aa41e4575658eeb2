"""The subscriptions of one process, by topic."""

from flowforge.kit.bus.events import BusEvent
from flowforge.kit.bus.subscription import Subscription


class Listeners:
    def __init__(self) -> None:
        self._by_topic: dict[str, set[Subscription]] = {}

    @property
    def topics(self) -> list[str]:
        """Those that somebody listens to."""
        return list(self._by_topic)

    def add(self, subscription: Subscription) -> bool:
        """Whether it is the first of its topic."""
        others = self._by_topic.setdefault(subscription.topic, set())
        others.add(subscription)
        return len(others) == 1

    def remove(self, subscription: Subscription) -> bool:
        """Whether it was the last of its topic."""
        others = self._by_topic.get(subscription.topic, set())
        others.discard(subscription)
        if others:
            return False
        self._by_topic.pop(subscription.topic, None)
        return True

    def tell(self, topic: str, event: BusEvent) -> None:
        for subscription in self._by_topic.get(topic, ()):
            subscription.put(event)

    def fall_behind(self) -> None:
        """All of them may have missed something."""
        for subscriptions in self._by_topic.values():
            for subscription in subscriptions:
                subscription.fall_behind()

    def close(self) -> None:
        for subscriptions in self._by_topic.values():
            for subscription in subscriptions:
                subscription.close()
