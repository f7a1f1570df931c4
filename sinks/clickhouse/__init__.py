"""ClickHouse: tables and views, the sink that fills them, and the local engine of the try-out."""
