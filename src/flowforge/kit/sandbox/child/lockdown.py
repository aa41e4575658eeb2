"""Takes from this process what a script must not have. Linux only; what a kernel or a container does not allow is left out.

Sources: seccomp(2), prctl(2), getrlimit(2), unshare(2), and the kernel's tables of system calls. A filter that is set can only become
narrower, and children inherit it.
"""

import ctypes
import os
import resource
import struct
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Final

_NOBODY: Final = 65_534
_SET_PDEATHSIG, _SET_DUMPABLE, _SET_NO_NEW_PRIVS = 1, 4, 38
_SIGKILL: Final = 9
_NEW_USER: Final = 0x10000000
_SPACES: Final = 0x40000000 | 0x08000000 | 0x04000000
"""Namespaces of network, messages between processes, and host name."""

_ALLOW: Final = 0x7FFF0000
_REFUSE: Final = 0x00050000 | 1  # the call gives EPERM
_KILL: Final = 0x80000000
_LOAD, _IF_EQUAL, _IF_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_FOREIGN_CALLS: Final = 0x40000000
"""From here on x86-64 has the calls of its x32 form."""

_MACHINES: Final = {"x86_64": (0, 0xC000003E, 317), "aarch64": (1, 0xC00000B7, 277)}
"""Column of the tables below, the kernel's name of the architecture, and the number of seccomp(2)."""

_COMPUTING: Final = {
    "read": (0, 63),
    "write": (1, 64),
    "close": (3, 57),
    "fstat": (5, 80),
    "lseek": (8, 62),
    "mmap": (9, 222),
    "mprotect": (10, 226),
    "munmap": (11, 215),
    "brk": (12, 214),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "readv": (19, 65),
    "writev": (20, 66),
    "sched_yield": (24, 124),
    "mremap": (25, 216),
    "madvise": (28, 233),
    "nanosleep": (35, 101),
    "setitimer": (38, 103),
    "getpid": (39, 172),
    "exit": (60, 93),
    "gettimeofday": (96, 169),
    "getrusage": (98, 165),
    "sigaltstack": (131, 132),
    "gettid": (186, 178),
    "futex": (202, 98),
    "restart_syscall": (219, 128),
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "clock_nanosleep": (230, 115),
    "exit_group": (231, 94),
    "tgkill": (234, 131),
    "getrandom": (318, 278),
    "rseq": (334, 293),
}
"""All that a process needs which computes, reads one pipe and writes another."""

_TALKING: Final = {
    "poll": (7, None),
    "ppoll": (271, 73),
    "recvfrom": (45, 207),
    "sendto": (44, 206),
    "recvmsg": (47, 212),
    "sendmsg": (46, 211),
    "shutdown": (48, 210),
    "kill": (62, 129),
    "wait4": (61, 260),
    "waitid": (247, 95),
    "fcntl": (72, 25),
    "epoll_wait": (232, None),
    "epoll_pwait": (281, 22),
    "epoll_ctl": (233, 21),
    "eventfd2": (290, 19),
    "pidfd_send_signal": (424, 424),
    "set_robust_list": (273, 99),
    "sched_getaffinity": (204, 123),
}
"""What a process needs besides that has threads and speaks with a child of its own."""

_LEAVING: Final = {
    "socket": (41, 198),
    "connect": (42, 203),
    "bind": (49, 200),
    "listen": (50, 201),
    "accept": (43, 202),
    "accept4": (288, 242),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "unshare": (272, 97),
    "setns": (308, 268),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "io_uring_setup": (425, 425),
    "userfaultfd": (323, 282),
    "open_by_handle_at": (304, 265),
    "unlinkat": (263, 35),
    "mkdirat": (258, 34),
    "renameat2": (316, 276),
    "linkat": (265, 37),
    "symlinkat": (266, 36),
    "fchmodat": (268, 53),
    "fchownat": (260, 54),
}
"""What no program that is started from here may do."""

_system = ctypes.CDLL(None, use_errno=True)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_char_p))


def close_descriptors() -> None:
    """All but standard input, output and error."""
    os.closerange(3, resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def leave_namespaces() -> None:
    """Into a network without a device and a user without rights, where the kernel allows it."""
    if _system.unshare(_NEW_USER | _SPACES) != 0:
        _system.unshare(_SPACES)


def become_nobody() -> None:
    """As `leave_namespaces`; root becomes another user, which may not read what root may."""
    if os.geteuid() != 0:
        leave_namespaces()
        return
    _system.unshare(_SPACES)
    # A container may have no other user to become; the filter of system calls stays.
    with suppress(OSError):
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)


def bind_to_parent(parent: int) -> None:
    """Ends with FlowForge, gains no rights, and shows no memory to others."""
    _system.prctl(_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)
    _system.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _system.prctl(_SET_DUMPABLE, 0, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)


def limit_memory(allowance_bytes: int, process: int = 0) -> None:
    """The address space, to what the process has now and so much more."""
    name = "self" if process == 0 else str(process)
    with open(f"/proc/{name}/statm", "rb") as file:  # noqa: PTH123 - pathlib takes 4 ms to import
        pages = int(file.read().split()[0])
    _limit(resource.RLIMIT_AS, pages * resource.getpagesize() + allowance_bytes, process)


def limit_files(descriptors: int, process: int = 0) -> None:
    """No file can be written, none opened above so many; no core is dumped."""
    _limit(resource.RLIMIT_FSIZE, 0, process)
    _limit(resource.RLIMIT_CORE, 0, process)
    _limit(resource.RLIMIT_NOFILE, descriptors, process)


def limit_processes(process: int = 0) -> None:
    """No further process or thread. The kernel does not hold root to it."""
    _limit(resource.RLIMIT_NPROC, 0, process)


def limit_lifetime(seconds: int, process: int = 0) -> None:
    """Computing time of the whole process."""
    _limit(resource.RLIMIT_CPU, seconds, process)


def _limit(kind: int, most: int, process: int = 0) -> None:
    hard = resource.prlimit(process, kind)[1]
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.prlimit(process, kind, (most, most))


def allow_computing(machine: str, *, is_talking: bool = False) -> bool:
    """From here on only calls that compute and use pipes that are open; whether the kernel took the filter."""
    return _filter(machine, {**_COMPUTING, **(_TALKING if is_talking else {})}, found=_ALLOW, other=_REFUSE)


def refuse_leaving(machine: str) -> bool:
    """From here on no sockets, no changes of files, no look into other processes; whether the kernel took the filter."""
    return _filter(machine, _LEAVING, found=_REFUSE, other=_ALLOW)


def _filter(machine: str, calls: Mapping[str, tuple[int | None, int | None]], *, found: int, other: int) -> bool:
    known = _MACHINES.get(machine)
    if known is None:
        return False
    column, architecture, seccomp = known
    numbers = [number for pair in calls.values() if (number := pair[column]) is not None]
    lines = [*_check_architecture(architecture, column), *_match(numbers, found), (_RETURN, 0, 0, other)]
    code = b"".join(struct.pack("=HBBI", *line) for line in lines)
    program = _Program(len(lines), code)
    return _system.syscall(seccomp, 1, 1, ctypes.byref(program)) == 0  # SECCOMP_SET_MODE_FILTER for all threads


def _check_architecture(architecture: int, column: int) -> list[tuple[int, int, int, int]]:
    lines = [(_LOAD, 0, 0, 4), (_IF_EQUAL, 1, 0, architecture), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, 0)]
    if column == 0:
        lines += [(_IF_AT_LEAST, 0, 1, _FOREIGN_CALLS), (_RETURN, 0, 0, _KILL)]
    return lines


def _match(numbers: Iterable[int], action: int) -> list[tuple[int, int, int, int]]:
    return [line for number in numbers for line in ((_IF_EQUAL, 0, 1, number), (_RETURN, 0, 0, action))]
