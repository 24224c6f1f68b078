"""The domain of the factory: a plain library that knows neither Prefect nor the command line."""

__version__ = "0.2.0"
