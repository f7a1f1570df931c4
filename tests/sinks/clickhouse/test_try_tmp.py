import time
from tests.sinks.clickhouse.engine_rows import *
from pipeline.simulate.stream import Simulation
from pipeline.simulate.options import Options
from schemas.events import read_event
from schemas.settings import parse_site
def test_try(db):
    sim=Simulation(Options(agents=30, queues=5, duration_ms=2*3600_000))
    events=[read_event(r.payload) for r in sim.records()]
    e=EngineRows(parse_site({"site":"sim"},"t"))
    db.write(*[e.apply(f) for f in in_frames(events,200)])
    def q(s):
        b=1e9
        for _ in range(2):
            t=time.time(); db.rows(s); b=min(b,time.time()-t)
        print(f"{b:.3f}",s[:150])
    q("select 1")
    q("select * from progress")
    q("select * from settings_at(at=NULL)")
    q("select * from site_reach")
    q("select * from window_bounds(site='sim',window='5m',at=NULL)")
    q("select * from window_bounds(site='sim',window='today',at=NULL)")
    F="from='2026-01-05 00:00:00', to='2026-01-06 00:00:00'"
    q(f"select count() from facts({F}, threshold_ms=NULL, short_ms=NULL)")
    q(f"select * from kpi_cells({F}, at=NULL, threshold_ms=NULL, short_ms=NULL, step_ms=0)")
    q(f"select * from kpi_queue({F})")
    q(f"select * from kpi_queue({F}) settings compile_expressions=0, compile_aggregate_expressions=0")
    q(f"select * from kpi_team({F})")
    q(f"select * from kpi_agent({F})")
    q("select * from kpi_window(site='sim',window='5m',at=NULL)")
    q("select * from kpi_window_all(site='sim',window='5m',at=NULL)")
    q("select * from kpi_window(site='sim',window='5m',at=NULL) settings compile_expressions=0, compile_aggregate_expressions=0")
    q("select * from kpi_window(site='sim',window='5m',at=NULL) settings max_threads=1")
    q("select * from kpi_window_team(site='sim',window='5m',at=NULL)")
    q("select * from waiting")
    q("select * from now_queue(at=NULL)")
    q("select * from now_agent(at=NULL)")
    q("select * from contacts where site='sim'")
    q("select * from reconciliation")
    q("explain select * from kpi_queue("+F+")")
    q("explain query tree select * from kpi_queue("+F+")")
