"""How telemetry leaves: ids, redaction, logs, who may have our context, and the exit."""
