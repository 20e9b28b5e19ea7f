r"""How much a share of few can say.

Wilson's interval of a share :math:`\hat p = x / n` (E. B. Wilson, *Probable inference, the law of succession, and
statistical inference*, JASA 22, 1927, 209-212) is

.. math:: \frac{\hat p + z^2/2n \pm z \sqrt{\hat p (1 - \hat p)/n + z^2/4n^2}}{1 + z^2/n}

and Newcombe's interval of the difference of two shares (R. G. Newcombe, *Interval estimation for the difference between
independent proportions*, Statistics in Medicine 17, 1998, 873-890, method 10) is made of the Wilson intervals
:math:`(l_1, u_1)` and :math:`(l_2, u_2)` of both:

.. math:: d - \sqrt{(\hat p_2 - l_2)^2 + (u_1 - \hat p_1)^2}
          \quad\text{to}\quad d + \sqrt{(u_2 - \hat p_2)^2 + (\hat p_1 - l_1)^2},
          \quad d = \hat p_2 - \hat p_1

Both hold for small numbers and for shares of 0 and 1, where the usual normal approximation says that nothing is left to
doubt after three checks.
"""

import polars as pl

Z_95 = 1.959964
"""Standard deviations that 95 % of a normal distribution lie within."""
Z_99 = 2.575829
"""The same of 99 %."""


def wilson(successes: pl.Expr, checks: pl.Expr, z: float) -> tuple[pl.Expr, pl.Expr]:
    """Lower and upper end of Wilson's interval of a share; null where there are no checks.

    Args:
        successes: How many succeeded.
        checks: Of how many.
        z: Standard deviations to either side.
    """
    share = successes / checks
    middle = share + z * z / (2 * checks)
    spread = z * (share * (1 - share) / checks + z * z / (4 * checks * checks)).sqrt()
    scale = 1 + z * z / checks
    counted = checks > 0
    return (
        pl.when(counted).then(((middle - spread) / scale).clip(0, 1)),
        pl.when(counted).then(((middle + spread) / scale).clip(0, 1)),
    )


def newcombe(
    before: tuple[pl.Expr, pl.Expr], after: tuple[pl.Expr, pl.Expr], z: float
) -> tuple[pl.Expr, pl.Expr, pl.Expr]:
    """The difference of two shares, and lower and upper end of Newcombe's interval of it.

    Args:
        before: Successes and checks before.
        after: Successes and checks after.
        z: Standard deviations to either side.
    """
    share_before, share_after = before[0] / before[1], after[0] / after[1]
    low_before, high_before = wilson(*before, z)
    low_after, high_after = wilson(*after, z)
    difference = share_after - share_before
    below = ((share_after - low_after).pow(2) + (high_before - share_before).pow(2)).sqrt()
    above = ((high_after - share_after).pow(2) + (share_before - low_before).pow(2)).sqrt()
    return difference, difference - below, difference + above
