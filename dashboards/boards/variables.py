"""Variables of the boards: what a viewer may choose."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import (
    CustomVariable,
    DatasourceVariable,
    QueryVariable,
    TextBoxVariable,
)
from grafana_foundation_sdk.models.dashboard import (
    VariableHide,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from dashboards.boards.promql import exposed
from dashboards.boards.queries import CLICKHOUSE_TYPE, PROMETHEUS
from dashboards.uids import BOARD_URL, CLICKHOUSE_UID, PROMETHEUS_UID
from schemas.config import Config
from schemas.kpis import WINDOWS
from sinks.prometheus import names
from sinks.prometheus.names import Metric


def datasource() -> DatasourceVariable:
    """The Prometheus that scrapes callboard."""
    chosen = VariableOption(text=PROMETHEUS_UID, value=PROMETHEUS_UID)
    return DatasourceVariable("datasource").label("Data source").type("prometheus").current(chosen)


def clickhouse() -> DatasourceVariable:
    """The store of callboard."""
    chosen = VariableOption(text=CLICKHOUSE_UID, value=CLICKHOUSE_UID)
    return DatasourceVariable("clickhouse").label("Store").type(CLICKHOUSE_TYPE).current(chosen)


def site() -> QueryVariable:
    """One site: names of queues mean something within a site only."""
    return _labels("site", "Site", names.SITE_TIME, "").include_all(False)


def sites() -> QueryVariable:
    """Any sites."""
    return _several(_labels("site", "Site", names.SITE_TIME, ""))


def queue(selected: str = 'site="$site"') -> QueryVariable:
    """Queues of the site."""
    return _several(_labels("queue", "Queue", names.QUEUE_WAITING, selected))


def channel(selected: str = 'site="$site"') -> QueryVariable:
    """Channels of the site."""
    return _several(_labels("channel", "Channel", names.QUEUE_WAITING, selected))


def team(selected: str = 'site="$site"') -> QueryVariable:
    """Teams of the site; agents without a team have the empty one."""
    return _several(_labels("team", "Team", names.TEAM_AGENTS, selected))


def window(chosen: str = "30m") -> CustomVariable:
    """A window of the contract. `total` is left out: it never ends."""
    known = [name for name in WINDOWS if name != "total"]
    options = [VariableOption(text=name, value=name, selected=name == chosen) for name in known]
    variable = CustomVariable("window").label("Window").values(",".join(known)).options(options)
    return variable.current(VariableOption(text=chosen, value=chosen)).allow_custom_value(False)


def board_url() -> TextBoxVariable:
    """Where people reach callboard's own board; links begin with it."""
    address = Config.model_fields["board_url"].default
    chosen = VariableOption(text=address, value=address)
    text = TextBoxVariable(BOARD_URL).label("Board").hide(VariableHide.HIDE_VARIABLE)
    return text.default_value(address).current(chosen).options([chosen])


def seconds(name: str, label: str, default: int) -> TextBoxVariable:
    """A number of seconds to be typed in."""
    chosen = VariableOption(text=str(default), value=str(default))
    text = TextBoxVariable(name).label(label).default_value(str(default))
    return text.current(chosen).options([chosen])


def _labels(name: str, label: str, metric: Metric, selected: str) -> QueryVariable:
    asked = f"label_values({exposed(metric)}{{{selected}}}, {name})"
    query: dict[str, object] = {"qryType": 1, "query": asked, "refId": f"variable-{name}"}
    variable = QueryVariable(name).label(label).datasource(PROMETHEUS).query(query)
    variable = variable.definition(asked).refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
    return variable.sort(VariableSort.ALPHABETICAL_ASC)


def _several(variable: QueryVariable) -> QueryVariable:
    # `.*` and not the list: a queue that appears while the board is open belongs to All.
    everything = VariableOption(text="All", value="$__all", selected=True)
    return variable.multi(True).include_all(True).all_value(".*").current(everything)
