"""The models that were ever published with rdae: what a file's model id means where its model is not installed.

docs/policy.md says what a name promises.  A name with a number, such as rdae-1 or rdae-1-visual, is that of a released
model: its line here, its weights and its golden files (tests/golden/models) never change again, and only its home does.
A name without a number is provisional: its weights may be replaced, and the line of what they were stays.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

RELEASED = re.compile(r"rdae-[1-9][0-9]*(-[a-z]+)?")
"""Names of released models."""

HISTORY = "history"
"""The home of models that no package has any more: the repository's history."""


@dataclass(frozen=True)
class KnownModel:
    """A published model.

    home: the package that brings it, "rdae" or one such as "rdae-models", or HISTORY.  commit: with HISTORY, the last
    commit that has its weights.
    """

    name: str
    sha256: str
    home: str
    commit: str = ""

    @property
    def released(self) -> bool:
        """Whether it is promised that files of this model open with every later version."""
        return RELEASED.fullmatch(self.name) is not None

    @property
    def advice(self) -> str:
        """What to do where the model is missing, as the end of a sentence."""
        if self.home == HISTORY:
            return f"it was replaced before any release; commit {self.commit} of rdae's repository has its weights"
        if self.home == "rdae":
            return "install the package rdae, which brings it (rdae-codec has no models)"
        return f"install the package {self.home}, which brings it"


KNOWN = (
    KnownModel("rdae-visual", "c02e32fa9834d14e5c8e6d3ae60667276bb10a10c3bd9003631de44198f04a12", "rdae"),
    KnownModel("rdae-base", "f5f3fd046f5beebabef641acc55fd9b9ec6f1ccf150d8fe9625901b01d794d8e", "rdae"),
    KnownModel(
        "rdae-visual", "d574b84eb7da4e5243881b5e1b9df0be3a76433af2ea61731f78719cea880547", HISTORY, "e0d2125"
    ),
    KnownModel(
        "rdae-visual", "1644fe1a75c8a5478c738c8999cf5180f9ac3235b2a15ca906fcbf8b7994acb5", HISTORY, "49bcee5"
    ),
    KnownModel(
        "rdae-visual", "211e0b3fb257c7ccd4932ec337fe40c5f2c8bbda7cf0edbb1b71bc52f6940bbe", HISTORY, "ce6b302"
    ),
    KnownModel(
        "rdae-base", "8ff1db17729aecd7ead016758140f93de0967503415f725f38190256211e6719", HISTORY, "6d8fbb4"
    ),
    KnownModel(
        "rdae-base", "3bc4c35a347e97b0aac3a6be9790942e8d2efa3510f3149bb927a204fb9744f0", HISTORY, "e6883bd"
    ),
    KnownModel(
        "rdae-base", "9d8d53efe3918b00e5c5586e9b7f834c600e19894620232eae805f2741a46531", HISTORY, "6c5b067"
    ),
    KnownModel(
        "rdae-base", "c4fe3b456cef3ff5f6fc2ecb46e8a5d901401bc6318e19b25829a533002cb080", HISTORY, "eadd17e"
    ),
    KnownModel(
        "rdae-base", "b476e70997a7c17027b15a37359db0e327aa3e8ef88cfc74abb2fc052777eb6d", HISTORY, "32b38b5"
    ),
    KnownModel(
        "rdae-base", "3b037707bac09b7acc590b46e532e9cfa70cd18c889ed0a9ed88e76e60841ceb", HISTORY, "df77a47"
    ),
    KnownModel(
        "rdae-base", "41e98cb10f261d2919bb83d0bb6128a8ebe1ff1e84a8a114bcdd76e94cf334a0", HISTORY, "bcf5118"
    ),
)
"""All of them, the newest first; nothing is ever taken out."""


def known(model_id: bytes) -> KnownModel | None:
    """Return the published model that a file with this model id needs, or None."""
    return next((model for model in KNOWN if model.sha256.startswith(model_id.hex())), None)
