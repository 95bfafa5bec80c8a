"""What an index holds below its public face: the one place where tests reach into it."""


def by_id(elements):
    """Elements by type and id: an index keeps no order."""
    return {(item.element_type, item.id): item for item in elements}


def collections(index):
    """Names of its collections, and of those of other indexes on its store, sorted."""
    return sorted(store_of(index).names())


def store_of(index):
    """The store of an index."""
    return index._store


def collection_of(index, element_type):
    """The Chroma collection that an index searches for a type."""
    return index._store.collection(index.entry(element_type).collection)
