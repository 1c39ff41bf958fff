"""Brokers, and the coordinator's connection to one."""
