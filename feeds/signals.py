"""Signals: the one table "model change → event"."""
