"""What kind of trouble an error is, read from its type and message: one table of rules, the first that fits decides.

The words come from everywhere: QCEngine and programs, executors that run tasks, workers, the server itself. What tells
the same error apart from another, its fingerprint, is in `fingerprint.py`.
"""

from __future__ import annotations

import re
from enum import StrEnum

import msgspec

from qchive.fingerprint import fingerprint, telling, within


class ErrorClass(StrEnum):
    """What kind of trouble an error is, which says whether trying again can help."""

    input = "input"
    convergence = "convergence"
    memory = "memory"
    wall_time = "wall_time"
    lost = "lost"
    random = "random"
    server = "server"
    unknown = "unknown"


MEANING: dict[ErrorClass, tuple[str, str]] = {
    ErrorClass.input: ("It can never run as asked for.", "Submit something else."),
    ErrorClass.convergence: (
        "SCF, coupled cluster or the geometry did not converge.",
        "Other keywords, another start.",
    ),
    ErrorClass.memory: ("It needed more memory than it had.", "Reset, with a tag of workers that have more."),
    ErrorClass.wall_time: ("It ran longer than it was allowed to.", "Reset, with a tag of workers that allow more."),
    ErrorClass.lost: ("What ran it vanished.", "Look at the workers' logs, then reset."),
    ErrorClass.random: ("The machine failed: a disk, the network, a crash, a missing program.", "Reset."),
    ErrorClass.server: ("The server could not take what was returned.", "Read the message: the worker may be old."),
    ErrorClass.unknown: ("Anything else.", "Read the message."),
}
"""What each class means, and what to do."""


class Rule(msgspec.Struct, frozen=True):
    """Errors of one of these types (any, if none is named) whose message has the pattern are of this class."""

    error_class: ErrorClass
    types: frozenset[str] = frozenset()
    pattern: re.Pattern[str] | None = None

    def fits(self, error_type: str, text: str) -> bool:
        """Whether the rule applies."""
        if self.types and error_type not in self.types:
            return False
        return self.pattern is None or self.pattern.search(text) is not None


def _typed(error_class: ErrorClass, *types: str, says: str | None = None) -> Rule:
    return Rule(error_class, frozenset(types), says and re.compile(says, re.IGNORECASE))  # type: ignore[arg-type]


def _says(error_class: ErrorClass, *patterns: str) -> Rule:
    return Rule(error_class, pattern=re.compile("|".join(patterns), re.IGNORECASE))


C = ErrorClass
_NOT = r"(?:not|n't|cannot|never|fail(?:ed|s|ure)? to)"

# Types that leave no doubt, whatever the message is. Those of Python are the names of exception classes.
BY_TYPE: tuple[Rule, ...] = (
    _typed(C.server, "internal_fractal_error", "result_refused"),
    _typed(C.input, "input_error", "ValidationError", "MissingMethodError", "ManagedMethodError", "BasisNotFoundError"),
    _typed(C.input, "NotAnElementError", "MoleculeFormatError"),
    _typed(C.convergence, "convergence_error", "SCFConvergenceError", "OptimizationConvergenceError"),
    _typed(C.convergence, "GeomOptNotConvergedError"),
    _typed(C.memory, "MemoryError", "_ArrayMemoryError"),
    _typed(C.wall_time, "wall_time_error", "AppTimeout", "TimeoutExpired"),
    _typed(C.random, "worker_crashed", says="signal (?:4|6|7|8|11) "),
    _typed(C.lost, "worker_crashed", "lost", "ManagerLost", "WorkerLost", "KilledWorker", "BrokenProcessPool"),
    _typed(C.lost, "BrokenExecutor", "TerminatedWorkerError", "BadStateException", "ExecutorError"),
    _typed(C.random, "random_error", "ConnectionResetError", "ConnectionRefusedError", "BrokenPipeError"),
)

# All others (`unknown_error`, `execution_error`, `resource_error`, `RuntimeError` …) are told by what they say.
BY_MESSAGE: tuple[Rule, ...] = (
    # what the innermost QCEngine said, passed on by an optimizer
    _says(C.convergence, "QCEngine Convergence Error"),
    _says(C.input, "QCEngine ?Input ?Error"),
    _says(C.random, "QCEngine Random Error"),
    _says(
        C.random,
        "registered with QCEngine, but cannot be found",
        "no space left on device|disk quota exceeded|quota exceeded|disk (?:is )?full|read-only file system",
        r"stale (?:nfs )?file handle|\bNFS\b|input/output error|transport endpoint|too many open files|text file busy",
        "connection (?:was )?(?:reset|refused|aborted|closed|timed out)|broken pipe",
        "network is unreachable|no route to host",
        "name resolution|read timed out|remote end closed|license (?:server|checkout|is not)",
        r"segmentation fault|sigsegv?\b|bus error|sigbus|illegal instruction|PSIO Error|floating point exception",
        "resource temporarily unavailable|command not found|error while loading shared libraries",
    ),
    _says(
        C.memory,
        r"out of memory|MemoryError\b|bad_alloc|oom[-_ ]?kill|(?:unable|failed|could not|cannot) (?:to )?allocate",
        "(?:insufficient|not enough|lack of|too little) memory|allocation (?:of .{0,40})?failed",
        r"exceed\w* (?:\w+ )?memory|memory (?:limit|exhausted|exceeded)|(?-i:\bKilled\b)",
    ),
    _says(
        C.lost,
        "loss of (?:manager|worker)|terminated abruptly|node[ _]fail|preempt|(?:worker|manager) (?:was lost|died)",
    ),
    _says(C.wall_time, r"time limit|wall[- ]?(?:time|clock)|timed? ?out\b|time exceeded|out of time"),
    _says(
        C.convergence,
        rf"\b{_NOT}\b(?:\W+\w+){{0,2}}?\W+converge|n't converge|unconverged|GeomOptNotConverged|SCFConvergence",
        r"no convergence|convergence (?:fail|not|problem|error)|converge\w* (?:was |has )?(?:not|fail)",
        r"(?:maximum|max\.?) (?:number of )?(?:\w+ )?(?:iterations|cycles|steps) (?:\w+ )?(?:exceeded|reached)",
    ),
    _says(
        C.input,
        r"\b(?:unknown|invalid|unsupported|unrecogni[sz]ed|no such|missing|undefined|illegal) (?:\w+ ){0,2}?"
        "(?:basis|method|functional|keyword|option|element|driver|atom|multiplicity|charge|input|coordinate)",
        r"\b(?:basis|method|functional|keyword|option|element|driver|atom)\b.{0,80}\bnot (?:\w+ )?"
        "(?:found|recogni[sz]ed|supported|implemented|available|known|defined|understood)",
        r"multiplicit\w+ .{0,60}(?:impossible|inconsistent|not)|impossible (?:charge|multiplicity)",
        r"\bspin\b.{0,40}not consistent|TypeError: set_global_option",
        r"BasisNotFound|NotAnElement|ValidationError|MissingMethod|InputError|only for singlets|no parameters for",
        "higher atom indices than|is not registered (?:to|with) QCEngine|not implemented for",
    ),
    # QCEngine's own: memory, mostly
    _typed(C.memory, "resource_error"),
)


def classify(error_type: str, message: str) -> ErrorClass:
    """The class of an error. What its message says in the end counts before what else is in it."""
    for rule in BY_TYPE:
        if rule.fits(error_type, message):
            return rule.error_class
    for text in (telling(message), within(message)):
        for rule in BY_MESSAGE:
            if rule.pattern and rule.fits(error_type, text):
                return rule.error_class
    return next((r.error_class for r in BY_MESSAGE if r.pattern is None and error_type in r.types), C.unknown)


class Diagnosis(msgspec.Struct, frozen=True):
    """What is kept of an error besides its text: what kind it is, and what it has in common with others."""

    error_class: ErrorClass
    fingerprint: str


def diagnose(error_type: str, message: str) -> Diagnosis:
    """Class and fingerprint of an error."""
    return Diagnosis(classify(error_type, message), fingerprint(error_type, message))
