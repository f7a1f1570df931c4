"""Where results land: ClickHouse, Prometheus and the board. Sinks import only schemas."""
