"""What stands in an index."""


def by_id(elements):
    """Elements by type and id: an index keeps no order."""
    return {(item.element_type, item.id): item for item in elements}


def collections(index):
    """Names of its collections, and of those of other indexes on its store, sorted."""
    return sorted(index._store.names())
