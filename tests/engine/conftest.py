"""Each proposition is told to both: the oracle shows that the expectation was worked out right."""

import pytest

from tests.engine.subjects import EngineSubject, OracleSubject, Subject


@pytest.fixture(params=[OracleSubject(), EngineSubject()], ids=["oracle", "engine"])
def subject(request: pytest.FixtureRequest) -> Subject:
    who: Subject = request.param
    return who
