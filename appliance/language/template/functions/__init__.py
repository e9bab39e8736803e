"""The functions a template can call, by name: those of Go's `text/template` and of sprig."""

from __future__ import annotations

from appliance.language import suggestions
from appliance.language.template.errors import Fault
from appliance.language.template.functions import (
    basics,
    dates,
    dicts,
    encodings,
    lists,
    numbers,
    patterns,
    texts,
)
from appliance.language.template.functions.signature import Function

SHORT_CIRCUIT = ("and", "or")
"""Functions that the compiler knows itself: they look at an argument only when they need it."""

FUNCTIONS: dict[str, Function] = {
    **basics.TABLE,
    **texts.TABLE,
    **lists.TABLE,
    **dicts.TABLE,
    **numbers.TABLE,
    **dates.TABLE,
    **encodings.TABLE,
    **patterns.TABLE,
}
_LEFT_OUT = (
    " bcrypt buildCustomCert call decryptAES derivePassword encryptAES env expandenv genCA "
    "genCAWithKey genPrivateKey genSelfSignedCert genSelfSignedCertWithKey genSignedCert "
    "genSignedCertWithKey getHostByName htpasswd "
)


def find(name: str) -> Function:
    """Return the function *name*; raises Fault that tells why there is none."""
    function = FUNCTIONS.get(name)
    if function:
        return function
    if f" {name} " in _LEFT_OUT:
        why = "is left out: a template reaches no program, file, environment, network or key"
        raise Fault(f"the function {name!r} {why}")
    hint = suggestions.hint(name, (*FUNCTIONS, *SHORT_CIRCUIT))
    raise Fault(f"there is no function {name!r}{hint}")
