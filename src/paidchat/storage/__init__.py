"""The system of record: tables, queries and the only place that commits."""
