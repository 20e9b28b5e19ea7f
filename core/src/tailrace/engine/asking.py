"""Who asks, and whether they may."""

import getpass
import os
from pathlib import Path
from typing import TYPE_CHECKING

from tailrace.engine.parts import EngineParts
from tailrace.model.errors import ConfigurationError, NotAllowedError, RequestError
from tailrace.model.job import User
from tailrace.model.request import ExportRequest
from tailrace.plugins.registry import Registry

if TYPE_CHECKING:
    from tailrace.pipeline.job import Job
    from tailrace.work.access import Operation

_LONGEST_USER = 255


class Asking(EngineParts):
    """Knows who asks."""

    def _prepared(
        self,
        request: ExportRequest,
        user: User,
        operation: "Operation",
        *,
        folder: Path | None = None,
        registry: Registry | None = None,
    ) -> "Job":
        """A request of a user who may ask, made ready; what is wrong with it is audited."""
        self.access.require(operation, user, owner=user.id)
        what = {"source": request.source, "format": request.format}
        with self.audit.recording(operation.value, user, only_failures=True, **what):
            for wish in request.notify or ():
                self._messengers.shown(wish)
            return self._preparation.ready(request, user, folder=folder, registry=registry)

    def _user(self, given: User | None) -> User:
        user = given or self._asking_user()
        is_text = "\0" not in user.id and user.id.encode(errors="replace").decode() == user.id
        if not is_text or len(user.id) > _LONGEST_USER:
            message = f"The id of a user is valid text of up to {_LONGEST_USER} characters, without NUL."
            raise RequestError(message, hint="Give User another id: a name or a number.")
        return user

    def _asking_user(self) -> User:
        """Who asks where a call does not say."""
        if self._asker is None:
            return self.system_user
        user = self._asker()
        if isinstance(user, User):
            return user
        if user is None:
            # Not the user of the system instead, who is an admin as often as not.
            message = "Nobody is known who asks: the application's function gives no user."
            raise NotAllowedError(message, hint="Pass user=User(…), or let Engine(user=…) know who it is.")
        message = f"The application's function gives {type(user).__name__} instead of a User."
        raise ConfigurationError(message, hint="Engine(user=lambda: User(…))")

    @property
    def system_user(self) -> User:
        """Who works with this engine where nobody says who: as the settings say, or the operating system's user.

        That user is an admin where the settings say so, as root, and as the owner of the home in which the store is a
        file: whoever could change it by hand anyway.
        """
        admins = self.settings.admins
        if self.settings.user:
            return User(self.settings.user, is_admin=self.settings.user in admins)
        try:
            name = getpass.getuser()
        except (KeyError, OSError):
            # A container may run under a number that has no name.
            name = "unknown"
        return User(name, is_admin=name in admins or os.geteuid() == 0 or self._owns_store())

    def _owns_store(self) -> bool:
        home = self.settings.home
        return not self.settings.store.url and (not home.exists() or home.stat().st_uid == os.geteuid())
