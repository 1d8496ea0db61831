"""Grafana's dashboards of a mesh: `language` says what a dashboard is made of and writes it as Grafana
reads it, `golden` has the questions that several ask, `boards` the dashboards themselves.
"""
