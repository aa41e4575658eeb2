"""All domains around one installation: what they ask of each other, and what each wants done again and again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, cast

from flowforge.audit.duties import list_duties as list_audit_duties
from flowforge.cluster.health import HealthPages
from flowforge.cluster.outbox import MissedEvents
from flowforge.configuration.ports import PresentSettings
from flowforge.entrypoints.run_ground import InstallationGround
from flowforge.entrypoints.server.clustered import ClusterRunner
from flowforge.entrypoints.server.duties import DomainDuty
from flowforge.entrypoints.server.embedded import EmbeddedRunner
from flowforge.entrypoints.server.figures import FIGURES_EVERY_MS, AuditFigures
from flowforge.entrypoints.server.ground import list_ground_ports
from flowforge.entrypoints.server.identity_ports import list_identity_ports, make_provider_tokens, make_providers
from flowforge.entrypoints.server.pinning import PinnedVersions
from flowforge.entrypoints.services import Services
from flowforge.entrypoints.wiring import Installation
from flowforge.files.uploads import UploadSweeper
from flowforge.identity.service import AccountParts, make_accounts
from flowforge.kit.bus import Bus
from flowforge.kit.clock import SystemClock
from flowforge.kit.egress import EgressClient
from flowforge.kit.mail import Mailer
from flowforge.kit.signing import open_signing
from flowforge.live.admission import Admissions
from flowforge.live.duties import LIVE_EVERY_MS, DeliveryDuty, DispatchDuty
from flowforge.live.feeds import RunFeeds
from flowforge.live.hub import LiveHub
from flowforge.live.subscriptions import reencrypt_subscriptions
from flowforge.runs.activity import RunActivity
from flowforge.runs.bulk import BulkKind
from flowforge.runs.duties import BATCH_EVERY_MS, AnswerDuty, BatchDuty
from flowforge.runs.ports import RunGround
from flowforge.runs.starting import Runner, RunReader, TurnTeller
from flowforge.system.ports import NextTimes
from flowforge.triggers.backfill import BackfillKind
from flowforge.triggers.event_listening import EventDuty
from flowforge.triggers.file_watching import FileDuty
from flowforge.triggers.firing import Firing
from flowforge.triggers.holding import EventsRunKind
from flowforge.triggers.inputs import Inputs
from flowforge.triggers.mail_polling import MailDuty
from flowforge.triggers.ports import RunNews
from flowforge.triggers.recording import Recorder
from flowforge.triggers.schedule_firing import ScheduleDuty
from flowforge.triggers.service import remove_triggers, replace_triggers
from flowforge.triggers.upcoming import list_next_times
from flowforge.vault.ports import ReencryptMore
from flowforge.web.batches.types import BatchKinds
from flowforge.web.calls import Gate, Parts
from flowforge.web.rates import Rates
from flowforge.workflows.ports import Compiler, Definitions, OnPublished, OnPurged, OpenRuns, RecentRuns
from flowforge.workflows.transfer.batching import ImportKind

if TYPE_CHECKING:
    from flowforge.kit.bus.redis_connection import RedisClients

_SECOND_MS: Final = 1_000
_IDLE_MS: Final = 5 * _SECOND_MS
"""How often duties look at rows that nobody has touched: what is due by the clock among them is late by so much at most."""
_HOUR_MS: Final = 3_600_000


@dataclass(frozen=True, slots=True)
class Ground:
    """What the domains stand on: the installation, and how its runs are carried on.

    `redis`: where requests are counted and sessions kept.
    """

    installation: Installation
    runner: EmbeddedRunner | ClusterRunner
    versions: PinnedVersions
    bus: Bus
    pages: HealthPages
    redis: "RedisClients | None" = None


@dataclass(frozen=True, slots=True)
class Domains:
    """`own_duties` are of this process, whatever others there are; of `duties` one process of an installation is enough."""

    parts: Parts
    hub: LiveHub
    present: PresentSettings
    own_duties: Sequence[DomainDuty]
    duties: Sequence[DomainDuty]


def make_domains(ground: Ground, services: Services) -> Domains:
    """Wired together; nothing is connected to yet. `services` are closed by who made them."""
    installation, runner = ground.installation, ground.runner
    egress, mailer = cast("EgressClient", services[EgressClient]), cast("Mailer", services[Mailer])
    signing = open_signing(installation.settings, installation.folder)
    run_ground = InstallationGround(installation)
    ports = dict(list_ground_ports(installation, ground.pages, signing, runner, runner, run_ground))
    present = cast("PresentSettings", ports[PresentSettings])
    providers = make_providers(installation, egress, present)
    accounts = make_accounts(
        AccountParts(
            settings=installation.settings,
            database=installation.database,
            keyring=installation.keyring,
            clock=installation.clock,
            signing=signing,
            mailer=mailer,
            providers=make_provider_tokens(installation, providers),
            redis=ground.redis,
        )
    )
    hub = _make_hub(ground, accounts.gate)
    metrics = installation.metrics.server
    recorder = Recorder(installation.database.write, tells_outside=True, on_fired=metrics.count_trigger_firing)
    firing = _make_firing(ground, recorder)
    ports |= {**accounts.ports, **list_identity_ports(providers), **_list_run_ports(ground, run_ground), **_list_live_ports(hub)}
    ports |= {EgressClient: egress, Mailer: mailer, Recorder: recorder, Firing: firing, NextTimes: list_next_times}
    parts = _make_parts(ground, accounts.gate, ports)
    own_duties = [
        DomainDuty("key_usage", 10 * _SECOND_MS, accounts.usage.run_once),
        DomainDuty("trigger_records", _SECOND_MS, recorder.run_once),
    ]
    duties = [
        DomainDuty("letters", 2 * _SECOND_MS, accounts.letters.run_once, _IDLE_MS),
        DomainDuty("accounts", _HOUR_MS, accounts.cleaner.run_once),
        DomainDuty("batches", BATCH_EVERY_MS, BatchDuty(parts).run_once, _IDLE_MS),
        DomainDuty("kept_answers", _HOUR_MS, AnswerDuty(parts).run_once),
        DomainDuty(
            "uploads", _HOUR_MS, UploadSweeper(installation.database.write, installation.objects, installation.clock).run_once
        ),
        *_list_live_duties(ground, egress),
        *_list_trigger_duties(ground, firing, mailer),
        *(
            DomainDuty(f"audit_{type(duty).__name__.removesuffix('Duty').lower()}", duty.interval_ms, duty.run_once)
            for duty in list_audit_duties(installation.settings, installation.database, signing, installation.clock)
        ),
    ]
    proof = AuditFigures(installation, signing, SystemClock())
    duties.append(DomainDuty("audit_figures", FIGURES_EVERY_MS, proof.run_once))
    return Domains(parts, hub, present, own_duties, duties)


def _make_parts(ground: Ground, gate: Gate, ports: Mapping[type, object]) -> Parts:
    installation = ground.installation
    return Parts(
        settings=installation.settings,
        database=installation.database,
        keyring=installation.keyring,
        clock=installation.clock,
        ids=installation.ids,
        metrics=installation.metrics,
        gate=gate,
        rates=Rates(installation.settings, ground.redis),
        ports=ports,
    )


def _make_hub(ground: Ground, gate: Gate) -> LiveHub:
    installation = ground.installation
    sessions, is_ordered = installation.database.read, not installation.database_url.is_server
    feeds = RunFeeds(sessions, ground.runner, ground.runner)
    return LiveHub(feeds, ground.bus, MissedEvents(sessions, is_ordered=is_ordered), Admissions(gate, SystemClock()))


def _make_firing(ground: Ground, recorder: Recorder) -> Firing:
    installation = ground.installation
    return Firing(
        installation.database,
        ground.runner,
        installation.registry,
        installation.settings.limits,
        installation.clock,
        installation.ids,
        recorder,
    )


def _list_run_ports(ground: Ground, run_ground: RunGround) -> dict[type, object]:
    runner, installation = ground.runner, ground.installation
    activity = RunActivity(runner, installation.database.read)
    ports: dict[type, object] = {
        Runner: runner,
        RunReader: runner,
        RunGround: run_ground,
        BatchKinds: BatchKinds([BulkKind(), ImportKind(), BackfillKind(), EventsRunKind()]),
        Definitions: runner,
        Compiler: installation,
        RecentRuns: activity,
        OpenRuns: activity,
        OnPublished: partial(replace_triggers, limits=installation.settings.limits),
        OnPurged: remove_triggers,
    }
    return ports | {RunNews: runner, TurnTeller: runner} if isinstance(runner, EmbeddedRunner) else ports


def _list_live_ports(hub: LiveHub) -> dict[type, object]:
    return {LiveHub: hub, ReencryptMore: reencrypt_subscriptions}


def _list_live_duties(ground: Ground, egress: EgressClient) -> list[DomainDuty]:
    installation = ground.installation
    database, clock, is_ordered = installation.database, installation.clock, not installation.database_url.is_server
    dispatch = DispatchDuty(database, clock, installation.ids, is_ordered=is_ordered)
    delivery = DeliveryDuty(database, installation.keyring, egress, clock, installation.metrics.server.count_event_delivery)
    return [
        DomainDuty("event_dispatch", LIVE_EVERY_MS, dispatch.run_once, _IDLE_MS),
        DomainDuty("event_deliveries", LIVE_EVERY_MS, delivery.run_once, _IDLE_MS),
    ]


def _list_trigger_duties(ground: Ground, firing: Firing, mailer: Mailer) -> list[DomainDuty]:
    installation = ground.installation
    settings, database, clock = installation.settings, installation.database, installation.clock
    inputs = Inputs(database.read, installation.registry, settings.limits)
    folders = {root.name: root.folder for root in settings.list_file_roots()}
    events = EventDuty(database, firing, inputs, clock, is_ordered=not installation.database_url.is_server)
    files = FileDuty(database, firing, folders, clock)
    mail = MailDuty(database, firing, mailer, installation.objects, installation.keyring, clock)
    return [
        DomainDuty("schedules", min(settings.sweep_ms, _SECOND_MS), ScheduleDuty(database, firing, clock).run_once),
        DomainDuty("event_triggers", settings.outbox_poll_ms, events.run_once, _IDLE_MS),
        DomainDuty("file_triggers", _SECOND_MS, files.run_once, close=files.close),
        DomainDuty("mail_triggers", 5 * _SECOND_MS, mail.run_once),
    ]
