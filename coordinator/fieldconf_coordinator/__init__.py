"""The coordinator: keeps the wishes, drives the targets, tells every node what to run."""
