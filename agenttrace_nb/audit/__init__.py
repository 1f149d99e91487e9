"""The audit trail: a tamper-evident record of what agents did, apart from MLflow, with proofs."""
