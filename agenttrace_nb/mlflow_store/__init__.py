"""MLflow: what the journal holds goes in, traces come back. The only room that imports ``mlflow``."""

from __future__ import annotations
