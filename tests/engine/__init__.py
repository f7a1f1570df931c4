"""The engine's propositions: each sentence of the contract, told to the engine and to its oracle."""
