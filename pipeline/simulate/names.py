"""Invented names for agents and sites."""

from __future__ import annotations

from random import Random

_FIRST = (
    "ada", "amir", "anna", "ben", "bruno", "carla", "chen", "dana", "david", "elena", "emil",
    "eva", "felix", "fatima", "gita", "hana", "hugo", "ida", "ines", "ivan", "jana", "jonas",
    "julia", "kenji", "lara", "leo", "lena", "lucas", "maria", "marco", "mei", "milan",
    "mona", "nadia", "nils", "noor", "olga", "omar", "paul", "petra", "priya", "rafael",
    "rosa", "sami", "sara", "sofia", "tara", "tomas", "vera", "yusuf", "zoe",
)  # fmt: skip
_LAST = (
    "adler", "bauer", "becker", "blanc", "borg", "braun", "castro", "costa", "cruz", "diaz",
    "ferro", "fischer", "fuchs", "garcia", "gomez", "gruber", "haas", "hansen", "hofer",
    "ito", "jensen", "keller", "khan", "klein", "kovac", "lang", "larsen", "levi", "lopez",
    "maier", "meyer", "moreau", "novak", "okafor", "olsen", "park", "peric", "petit", "ramos",
    "rao", "reyes", "rossi", "sato", "schmid", "silva", "singh", "sousa", "stein", "suzuki",
    "tanaka", "torres", "urban", "vogel", "weber", "weiss", "wolf", "yilmaz", "zanetti",
)  # fmt: skip
_SITES = (
    "Riverside", "Harbour", "Northgate", "Hilltop", "Old Mill",
    "Lakeside", "Station Road", "Westfield", "Garden Row", "Bridgeton",
)  # fmt: skip


def agent_names(count: int, rng: Random) -> list[str]:
    """`count` different ids such as `maria.silva`, with a number where names run out."""
    pairs = [f"{first}.{last}" for first in _FIRST for last in _LAST]
    rng.shuffle(pairs)
    names = []
    for index in range(count):
        lap, place = divmod(index, len(pairs))
        names.append(pairs[place] if lap == 0 else f"{pairs[place]}.{lap + 1}")
    return names


def site_name(site: str) -> str:
    """A display name for a site: `Riverside` for the first, another for `…-2` and so on."""
    _, _, number = site.rpartition("-")
    index = int(number) - 1 if number.isdigit() else 0
    lap, place = divmod(max(index, 0), len(_SITES))
    return _SITES[place] if lap == 0 else f"{_SITES[place]} {lap + 1}"
