"""The sentences of the contract as propositions, told to the engine and to its oracle."""
