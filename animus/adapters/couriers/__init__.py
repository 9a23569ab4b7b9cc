"""Couriers: SMTP, and a webhook of a chat channel."""
