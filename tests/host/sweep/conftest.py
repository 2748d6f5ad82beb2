from collections.abc import Iterator

import pytest

from nudge.plumbing.cluster import Cluster, opened


@pytest.fixture(scope="package")
def cluster() -> Iterator[Cluster]:
    """Two local workers, for all tests of this folder."""
    with opened(2) as found:
        yield found
