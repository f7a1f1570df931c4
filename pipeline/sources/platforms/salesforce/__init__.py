"""Salesforce: Omni-Channel's assignments and presence, cases, and what surveys say.

Records come as change events (Change Data Capture) or as rows that a flow or a query read.
"""

from pipeline.sources.platforms.salesforce.envelope import kind_of
from pipeline.sources.platforms.salesforce.options import SalesforceOptions
from pipeline.sources.platforms.salesforce.translator import Salesforce
from pipeline.sources.source import Source, elements_of

SOURCE = Source(
    name="salesforce",
    title="Salesforce Service Cloud, Omni-Channel",
    translator=Salesforce,
    kind=kind_of,
    options=SalesforceOptions,
    payloads=elements_of,
    stateful=True,
)
