"""Results that are tuples, lists or dicts of arrays."""

from __future__ import annotations


def tree_map(function, tree):
    """Return the tree with every leaf replaced by function(leaf)."""
    if isinstance(tree, dict):
        return {key: tree_map(function, item) for key, item in tree.items()}
    if isinstance(tree, (list, tuple)):
        items = [tree_map(function, item) for item in tree]
        return type(tree)(*items) if hasattr(tree, "_fields") else type(tree)(items)
    return function(tree)


def tree_leaves(tree) -> list:
    """Return the leaves in order."""
    if isinstance(tree, dict):
        tree = list(tree.values())
    if isinstance(tree, (list, tuple)):
        return [leaf for item in tree for leaf in tree_leaves(item)]
    return [tree]


def tree_zip(function, first, *rest):
    """Return the tree of function(leaf, leaf, …) over trees of one structure."""
    others = [iter(tree_leaves(tree)) for tree in rest]
    return tree_map(lambda leaf: function(leaf, *(next(other) for other in others)), first)
