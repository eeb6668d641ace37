"""The fixtures of the tests of clients."""

import pytest

from tests.clients.kotlin_programs import KotlinPrograms


@pytest.fixture(scope="session")
def programs(tmp_path_factory) -> KotlinPrograms:
    return KotlinPrograms(tmp_path_factory.mktemp("kotlin"))
