"""The Data page: files that people have, recognised, looked at as a model will see them, counted, mixed and sifted."""
