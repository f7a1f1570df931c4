from tests.sinks.clickhouse.test_board_by_sql import *

for n in [k for k in globals() if k.startswith("test_")]:
    del globals()[n]
import os


@given(st.lists(fed(), min_size=10, max_size=10))
@settings(
    max_examples=int(os.environ.get("N", "12")),
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_dbg(clickhouse, stories):
    with database(clickhouse) as db:
        expected = {}
        records = []
        for number, told in enumerate(stories):
            site = Site(told.settings)
            for offset, frame in enumerate(told.frames):
                rows = site.apply(frame, offset).rows
                records.append(row_record(site, rows, name=f"s{number}"))
            expected |= totals_of(site.view(), f"s{number}")
        assert db.write(*records) == []
        got = totals_by_sql(db)
        bad = set()
        for k in sorted(set(got) | set(expected), key=str):
            g, e = got.get(k), expected.get(k)
            if g != e:
                bad.add(k[0])
                d = (
                    {n: (g.get(n), e.get(n)) for n in e if g.get(n) != e.get(n)}
                    if isinstance(g, dict) and isinstance(e, dict)
                    else (g, e)
                )
                print("DIFF(sql,engine)", k, d)
        r = db.rows("SELECT * FROM reconciliation")
        for x in r[:10]:
            print("RECON", x)
        bad |= {x["site"] for x in r}
        for b in sorted(bad)[:2]:
            print(b, stories[int(b[1:])])
            for t in ("visits", "legs", "agent_intervals", "declines"):
                print(
                    t,
                    db.rows(
                        f"select * except (site,channel,direction,customer,priority,formula,exclude_short) from {t} final where site='{b}'"
                    ),
                )
            print(db.rows(f"select * from progress where site='{b}'"))
        if bad:
            os._exit(1)
