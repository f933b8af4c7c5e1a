"""Grafana dashboards as code: what they show in Python, what Grafana reads as generated JSON."""
