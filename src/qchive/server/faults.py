"""What nobody foresaw: the log has it under an id, and people are told the id only."""

from __future__ import annotations

import logging
import secrets

from qchive.errors import InternalError

log = logging.getLogger("qchive.server")


def fault(error: BaseException, what: str) -> InternalError:
    """Log an error that came up in `what`; the error to show in its place."""
    error_id = secrets.token_hex(6)
    # Whoever asks chooses the address: as it is, it could begin lines of its own.
    log.error("error %s: %r", error_id, what, exc_info=error)
    return InternalError(
        f"An internal error occurred. **Refer to internal error id {error_id} when asking your admin**",
        error_id=error_id,
    )
