"""Ten functions of which each needs the one before: a chain, as every library takes it, with annotations for Hamilton.

Hamilton takes every public function of a module for a node: there must be no others here.
"""


def one(x: int) -> int:
    """The first, which takes the input."""
    return x + 1


def two(one: int) -> int:
    """One more than the first."""
    return one + 1


def three(two: int) -> int:
    """And so on."""
    return two + 1


def four(three: int) -> int:
    """And so on."""
    return three + 1


def five(four: int) -> int:
    """And so on."""
    return four + 1


def six(five: int) -> int:
    """And so on."""
    return five + 1


def seven(six: int) -> int:
    """And so on."""
    return six + 1


def eight(seven: int) -> int:
    """And so on."""
    return seven + 1


def nine(eight: int) -> int:
    """And so on."""
    return eight + 1


def ten(nine: int) -> int:
    """The last, which nobody takes."""
    return nine + 1


NODES = (one, two, three, four, five, six, seven, eight, nine, ten)
