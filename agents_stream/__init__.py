"""The worker: a thin Faust shell around the engine, its checkpoints, results and readiness."""
