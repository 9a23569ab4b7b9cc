"""Readable names of runs, such as `amber-otter-3f9c21aa`. For people; the id is the id."""

from __future__ import annotations

_COLOUR_WORDS = """
amber azure beige black blond brass brick brown cocoa coral cream dusky ebony fawn frost gold
green hazel henna honey indigo ivory jade khaki lemon lilac lime linen mango maple mauve mint
moss navy ochre olive onyx opal pansy peach pearl pine plum poppy quartz rose ruby russet sable
sage sand sepia sienna silver slate snow straw tan teal topaz umber violet wheat white
"""
_ANIMAL_WORDS = """
adder auk badger bat bear beaver bison boar bream buck carp cod coot crab crane crow deer dove
eagle egret eider elk falcon ferret finch fox gecko goat goose grebe gull hare hawk heron hind
ibex ibis jay kite kiwi lark linnet lynx marten merlin mink mole moose moth mouse newt oriole
osprey otter owl oyster perch plover puffin quail rail raven robin rook ruff seal shrew siskin
skua snipe stoat stork swan swift tapir tern thrush toad trout viper vole wolf wren yak
"""
_COLOURS = _COLOUR_WORDS.split()
_ANIMALS = _ANIMAL_WORDS.split()
RANDOM_BYTES = 6


def run_name(entropy: bytes) -> str:
    """A name from `RANDOM_BYTES` random bytes; the database refuses a name that is taken."""
    colour = _COLOURS[entropy[0] % len(_COLOURS)]
    animal = _ANIMALS[entropy[1] % len(_ANIMALS)]
    return f"{colour}-{animal}-{entropy[2:RANDOM_BYTES].hex()}"
