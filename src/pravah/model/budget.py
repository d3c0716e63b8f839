"""How many failed files a job tolerates: a number, or a share of all."""

from __future__ import annotations

import math

Budget = int | str


def read_budget(value: object) -> Budget:
    """Read `5` or `"1%"`; ValueError says what is wrong.

    >>> read_budget("5"), read_budget("0.5%")
    (5, '0.5%')
    """
    text = str(value).strip()
    share = text.removesuffix("%")
    if share != text and share.replace(".", "", 1).isdecimal() and float(share) <= 100:
        return text
    if text.isdecimal() and not isinstance(value, bool):
        return int(text)
    raise ValueError(f"is `{value}`, a number of files or a share such as `1%` is expected")


def exceeded(budget: Budget, failed: int, chosen: int, *, scan_complete: bool) -> bool:
    """Tell whether more failed than is tolerated; a share is judged when all are listed.

    >>> exceeded("10%", 3, 9, scan_complete=False), exceeded("10%", 3, 9, scan_complete=True)
    (False, True)
    """
    judged = scan_complete or isinstance(budget, int)
    return judged and not tolerates(budget, failed, chosen)


def tolerates(budget: Budget, failed: int, chosen: int) -> bool:
    """Tell whether so many failed files of so many that no filter left out are within the budget.

    >>> tolerates("1%", 2, 250), tolerates("1%", 3, 250)
    (True, False)
    """
    if isinstance(budget, int):
        return failed <= budget
    return failed <= math.floor(chosen * float(budget.removesuffix("%")) / 100)
